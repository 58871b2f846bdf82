/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iommuctl: finds the verb in its table, checks what it is given, and lets it run. Does nothing itself. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "options.h"
#include "suggest.h"

static const struct verb verbs[] = {
	{ "list", "", "the devices that you may see", NULL, OPTION_JSON | OPTION_LEGEND, 0, 0, verb_list },
	{ "groups", "", "the IOMMU groups of these devices, and what blocks them", NULL, OPTION_JSON | OPTION_LEGEND, 0,
	  0, verb_groups },
	{ "describe", "DEVICE", "all about one device and its group", NULL, OPTION_JSON, 1, 1, verb_describe },
	{ "explain", "DEVICE", "what acquire would say, and why, without doing it", NULL,
	  OPTION_JSON | OPTION_AS | OPTION_BACKEND, 1, 1, verb_explain },
	{ "acquire", "DEVICE...|--pool=NAME", "take devices, and hold them until the end of input or a signal", NULL,
	  OPTION_JSON | OPTION_LEGEND | OPTION_BACKEND | OPTION_CONSENT | OPTION_YES | OPTION_POOL | OPTION_WAIT, 0, -1,
	  verb_acquire },
	{ "run", "DEVICE...|--pool=NAME -- COMMAND [ARGUMENT...]", "run a command that owns devices",
	  "In the arguments, {device} (or {device:N}, from 0), {iommu}, {container} and {group} (or {group:N})\n"
	  "become the numbers of descriptors, and {{ becomes {. Other braces stay. The numbers are in the\n"
	  "environment, too: IOMMUD_IOMMU_FD, IOMMUD_DEVICE_FD_0, IOMMUD_CONTAINER_FD, IOMMUD_GROUP_FD_0; and so are\n"
	  "the device's address, IOMMUD_DEVICE_0, the VF token of an SR-IOV function, IOMMUD_VF_TOKEN_0, and\n"
	  "IOMMUD_LEASE and IOMMUD_BACKEND. The devices are given back when the command, and all that it left its\n"
	  "descriptors to, has ended.\n",
	  OPTION_BACKEND | OPTION_CONSENT | OPTION_YES | OPTION_POOL | OPTION_WAIT, 0, -1, verb_run },
	{ "revoke", "LEASE", "take a lease back from its client (for root)",
	  "The client is asked first; what follows when it does not give its devices back is the policy's\n"
	  "OnReleaseTimeout=. 'iommuctl monitor' tells what becomes of it.\n",
	  OPTION_REASON, 1, 1, verb_revoke },
	{ "status", "", "the daemon and the leases that you may see", NULL, OPTION_JSON | OPTION_LEGEND, 0, 0,
	  verb_status },
	{ "monitor", "", "what happens, a line each, until it is interrupted", "With --json, an object a line.\n",
	  OPTION_JSON, 0, 0, verb_monitor },
	{ "policy", "check|list|test FILE [DIRECTORY...]", "check, list or test policy files as iommud reads them",
	  "Without a directory, those of the system are read. 'check' reports all that is wrong with them; 'list' prints the\n"
	  "rules in the order in which they are taken, and which files do not count; 'test' holds them against the decisions\n"
	  "that FILE expects, see iommud.policy(5).\n",
	  OPTION_JSON, 1, -1, verb_policy },
	{ "version", "", "iommuctl's version", NULL, 0, 0, 0, verb_version },
};

static const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int complain_verb(const char *name)
{
	const char *names[ARRAY_SIZE(verbs)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		names[i] = verbs[i].name;
	near = suggest(name, names, ARRAY_SIZE(names));
	if (near)
		return complain_usage("unknown verb '%s'; did you mean '%s'?", name, near);
	return complain_usage("unknown verb '%s'", name);
}

static int print_help(void)
{
	puts("iommuctl [OPTION...] VERB [ARGUMENT...]\n"
	     "Devices behind an IOMMU: who has them, who may have them, and having them.\n\n"
	     "Verbs:");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		printf("  %-9s %s\n", verbs[i].name, verbs[i].summary);
	putchar('\n');
	options_print_help(OPTION_JSON | OPTION_LEGEND);
	puts("\n'iommuctl VERB --help' tells more; so does iommuctl(1).");
	return EXIT_DONE;
}

static int print_verb_help(const struct verb *verb)
{
	printf("iommuctl [OPTION...] %s%s%s\n%s\n\n", verb->name, *verb->arguments ? " " : "", verb->arguments,
	       verb->summary);
	if (verb->details)
		printf("%s\n", verb->details);
	options_print_help(verb->options);
	return EXIT_DONE;
}

int verb_version(const struct options *options, int n_arguments, char **arguments)
{
	puts("iommuctl " IOMMUD_VERSION);
	return EXIT_DONE;
}

/* The word "--" of `run` ends the devices; what follows is the command's own. Returns how many words are left. */
static int split_command(int argc, char **argv, struct options *options)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			argv[i] = NULL;
			options->command = &argv[i + 1];
			return i;
		}
	}
	return argc;
}

/* argv[0] is the verb. */
static int verb_run_by_name(struct options *options, int argc, char **argv)
{
	const struct verb *verb = verb_find(argv[0]);
	int first, n;

	if (!verb)
		return complain_verb(argv[0]);
	if (verb->run == verb_run)
		argc = split_command(argc, argv, options);
	first = options_parse(options, argc, argv, false);
	if (first < 0)
		return -first;
	if (options->help)
		return print_verb_help(verb);
	if (options->version)
		return verb_version(options, 0, NULL);
	if (!options_fit(options, verb))
		return EXIT_USAGE;
	n = argc - first;
	if (n < verb->min_arguments || (verb->max_arguments >= 0 && n > verb->max_arguments))
		return complain_usage("usage: iommuctl %s %s", verb->name, verb->arguments);
	return verb->run(options, n, argv + first);
}

static int run(int argc, char **argv)
{
	struct options options = { 0 };
	int first = options_parse(&options, argc, argv, true);

	if (first < 0)
		return -first;
	if (options.version)
		return verb_version(&options, 0, NULL);
	if (first < argc)
		return verb_run_by_name(&options, argc - first, argv + first);
	if (options.help)
		return print_help();
	return complain_usage("which verb?");
}

/* A descriptor of a device must never become somebody's standard output. */
static void open_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
	close_fd(fd);
}

int main(int argc, char **argv)
{
	int code;

	open_standard_streams();
	code = run(argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		complain("standard output: the text could not be written");
		return EXIT_FAILED;
	}
	return code;
}
