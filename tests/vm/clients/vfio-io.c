/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-io: proves that the fds it was given are good for using a device of any kind, through its regions.
 *
 * Asks the device what it is, and says what ids it reads in its configuration space. With --echo it is an mdev of the
 * kernel's sample driver mtty, a serial port: a text is sent through it, which comes back. Exit status: 0 it worked, 1 it
 * did not, 2 usage.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client.h"
#include "vfio-abi.h"

static const char text[] = "iommud";

static int usage(void)
{
	fputs("vfio-io [--echo] [--hold] --device N --iommu N\n"
	      "vfio-io [--echo] [--hold] --device N --container N --group N\n",
	      stderr);
	return 2;
}

static bool parse_options(int argc, char **argv, struct session *session, bool *echo, bool *hold)
{
	static const struct option known[] = { { "device", required_argument, NULL, 'd' },
					       { "iommu", required_argument, NULL, 'i' },
					       { "container", required_argument, NULL, 'c' },
					       { "group", required_argument, NULL, 'g' },
					       { "echo", no_argument, NULL, 'e' },
					       { "hold", no_argument, NULL, 'h' },
					       { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'd':
			session->device = atoi(optarg);
			break;
		case 'i':
			session->iommu = atoi(optarg);
			break;
		case 'c':
			session->container = atoi(optarg);
			break;
		case 'g':
			session->group = atoi(optarg);
			break;
		case 'e':
			*echo = true;
			break;
		case 'h':
			*hold = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc && session->device >= 0;
}

static int find_region(const struct session *session, unsigned int index, off_t *ret)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = index };

	if (ioctl(session->device, VFIO_DEVICE_GET_REGION_INFO, &region) < 0)
		return say_error("VFIO_DEVICE_GET_REGION_INFO %u: %s", index, strerror(errno));
	*ret = region.offset;
	return 0;
}

static int say_identity(const struct session *session)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	off_t config;
	uint16_t ids[2];

	if (ioctl(session->device, VFIO_DEVICE_GET_INFO, &info) < 0)
		return say_error("VFIO_DEVICE_GET_INFO: %s", strerror(errno));
	if (find_region(session, VFIO_PCI_CONFIG_REGION_INDEX, &config) < 0)
		return -1;
	if (pread(session->device, ids, sizeof(ids), config) != sizeof(ids))
		return say_error("reading the configuration region: %s", strerror(errno));
	printf("ids %04x:%04x\n", ids[0], ids[1]);
	return 0;
}

/* What is written to the port's data register comes back from it. */
static int echo_text(const struct session *session)
{
	char back[sizeof(text)] = "";
	off_t port;

	if (find_region(session, VFIO_PCI_BAR0_REGION_INDEX, &port) < 0)
		return -1;
	for (size_t i = 0; i < strlen(text); i++)
		if (pwrite(session->device, &text[i], 1, port) != 1)
			return say_error("writing to the port: %s", strerror(errno));
	for (size_t i = 0; i < strlen(text); i++)
		if (pread(session->device, &back[i], 1, port) != 1)
			return say_error("reading from the port: %s", strerror(errno));
	return strcmp(text, back) == 0 ? 0 : say_error("'%s' came back as '%s'", text, back);
}

int main(int argc, char **argv)
{
	struct session session = { .device = -1, .iommu = -1, .container = -1, .group = -1 };
	bool echo = false, hold = false;
	char byte;

	if (!parse_options(argc, argv, &session, &echo, &hold))
		return usage();
	if (session_setup(&session) < 0 || say_identity(&session) < 0)
		return 1;
	if (echo && echo_text(&session) < 0)
		return 1;
	if (hold)
		puts("holding");
	fflush(stdout);
	while (hold && read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
