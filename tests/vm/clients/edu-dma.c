/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * edu-dma: proves that the fds it was given are good for DMA.
 *
 * Takes the fds of an edu device by number, as a client of iommud holds them, or
 * opens the nodes itself; has the device copy a page there and back through the
 * IOMMU; compares. Exit status: 0 it worked, 1 it did not, 2 usage.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static const char usage_text[] = "edu-dma [--hold] --device N --iommu N\n"
				 "edu-dma [--hold] --container N --group N [--device N] [--address ADDR]\n"
				 "edu-dma [--hold] --open-nodes ADDR [--backend iommufd|legacy]\n"
				 "\n"
				 "N are numbers of open fds, ADDR is a PCI address. --hold keeps the device\n"
				 "after the DMA, says \"holding\", and ends at the end of stdin. --again does the\n"
				 "DMA again and again until then, and says how often.\n";

struct options {
	struct session session;
	bool open_nodes;
	bool legacy;
	bool hold;
	bool again;
};

static int usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static int parse_fd(const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (end == text || *end || fd < 0 || fd > 1 << 20)
		return usage();
	return fd;
}

static bool parse_backend(const char *text)
{
	if (strcmp(text, "iommufd") && strcmp(text, "legacy"))
		usage();
	return !strcmp(text, "legacy");
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "device", required_argument, NULL, 'd' },    { "iommu", required_argument, NULL, 'i' },
		{ "container", required_argument, NULL, 'c' }, { "group", required_argument, NULL, 'g' },
		{ "address", required_argument, NULL, 'a' },   { "open-nodes", required_argument, NULL, 'o' },
		{ "backend", required_argument, NULL, 'b' },   { "hold", no_argument, NULL, 'h' },
		{ "again", no_argument, NULL, 'A' },           { 0 },
	};
	struct session *session = &options->session;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'd':
			session->device = parse_fd(optarg);
			break;
		case 'i':
			session->iommu = parse_fd(optarg);
			break;
		case 'c':
			session->container = parse_fd(optarg);
			break;
		case 'g':
			session->group = parse_fd(optarg);
			break;
		case 'a':
			session->address = optarg;
			break;
		case 'o':
			session->address = optarg;
			options->open_nodes = true;
			break;
		case 'b':
			options->legacy = parse_backend(optarg);
			break;
		case 'h':
			options->hold = true;
			break;
		case 'A':
			options->again = true;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

static void check_options(const struct options *options)
{
	const struct session *session = &options->session;
	bool iommufd = session->iommu >= 0 && session->device >= 0;
	bool legacy = session->container >= 0 && session->group >= 0;

	if (options->open_nodes + iommufd + legacy != 1)
		usage();
}

static void hold(void)
{
	char byte;

	puts("holding");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	struct options options = {
		.session = { .device = -1, .iommu = -1, .container = -1, .group = -1 },
	};
	struct session *session = &options.session;
	unsigned int rounds;
	size_t bytes = 0;

	parse_options(argc, argv, &options);
	check_options(&options);

	if (options.open_nodes && (options.legacy ? session_open_legacy(session) : session_open_iommufd(session)))
		return 1;
	if (session_setup(session))
		return 1;
	if (options.again) {
		if (edu_dma_until(session, STDIN_FILENO, &rounds))
			return 1;
		printf("DMA ok: %u times there and back, compared\n", rounds);
		return 0;
	}
	if (edu_dma(session, &bytes))
		return 1;

	printf("DMA ok: %zu bytes there and back, compared\n", bytes);
	fflush(stdout);
	if (options.hold)
		hold();
	return 0;
}
