/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "hw/helper-wire.h"

#define STATE_DIR "/run/iommud/broker"
#define FD_STORE_MAX 65536

enum {
	OPTION_CONFIG = 256,
	OPTION_LISTEN,
	OPTION_HELPER,
	OPTION_SYSFS,
	OPTION_DEV,
	OPTION_USER,
	OPTION_STATE,
	OPTION_FD_STORE,
	OPTION_POLICY,
	OPTION_ANY_OWNER,
	OPTION_CHECK_POLICY,
	OPTION_LIST_POLICY,
	OPTION_TEST_POLICY,
	OPTION_DEBUG,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "helper", required_argument, NULL, OPTION_HELPER },
	{ "sysfs", required_argument, NULL, OPTION_SYSFS },
	{ "dev", required_argument, NULL, OPTION_DEV },
	{ "user", required_argument, NULL, OPTION_USER },
	{ "state", required_argument, NULL, OPTION_STATE },
	{ "fd-store", required_argument, NULL, OPTION_FD_STORE },
	{ "policy", required_argument, NULL, OPTION_POLICY },
	{ "policy-any-owner", no_argument, NULL, OPTION_ANY_OWNER },
	{ "check-policy", no_argument, NULL, OPTION_CHECK_POLICY },
	{ "list-policy", optional_argument, NULL, OPTION_LIST_POLICY },
	{ "test-policy", required_argument, NULL, OPTION_TEST_POLICY },
	{ "debug", no_argument, NULL, OPTION_DEBUG },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static void print_help(void)
{
	printf("Usage: iommud [OPTION]...\n"
	       "       iommud --check-policy [DIR]...\n"
	       "       iommud --list-policy[=text|pretty|short] [DIR]...\n"
	       "       iommud --test-policy FILE [DIR]...\n"
	       "\n"
	       "Brokers devices behind an IOMMU: judges groups, follows the policy, hands out descriptors.\n"
	       "\n"
	       "  --listen PATH        make this socket and listen on it (without: systemd's socket)\n"
	       "  --user NAME          become this user before the first client is served\n"
	       "  --config FILE        read this instead of /etc/iommud/iommud.conf\n"
	       "  --policy DIR         read *.policy from here; may be repeated, the first has priority\n"
	       "  --policy-any-owner   for development: policy files need not belong to root\n"
	       "  --helper PATH        the socket of iommud-helper (%s)\n"
	       "  --state DIR          write leases down here, so that they outlive a restart (%s); '' for\n"
	       "                       nowhere\n"
	       "  --fd-store N         FileDescriptorStoreMax= of the unit: systemd keeps connections in a restart (0)\n"
	       "  --sysfs DIR          read this instead of /sys\n"
	       "  --dev DIR            open nodes below this instead of /dev\n"
	       "  --check-policy       check the policy, print all that is wrong with it, and exit\n"
	       "  --list-policy        print the rules in the order in which they are taken, and exit; pretty and short are\n"
	       "                       JSON\n"
	       "  --test-policy FILE   hold the policy against what FILE expects, and exit\n"
	       "  --debug              log more\n"
	       "  --help, --version\n"
	       "\n"
	       "See iommud(8), iommud.policy(5), iommuctl(1).\n",
	       HELPER_SOCKET, STATE_DIR);
}

static void add_policy_dir(struct options *options, const char *dir)
{
	for (size_t i = 0; i < OPTIONS_DIRS_MAX; i++)
		if (!options->policy[i]) {
			options->policy[i] = dir;
			return;
		}
	fprintf(stderr, "iommud: more than %d policy folders\n", OPTIONS_DIRS_MAX);
	exit(2);
}

static void set_list_policy(struct options *options, const char *form)
{
	options->list_policy = form ? form : "text";
	if (strcmp(options->list_policy, "text") != 0 && strcmp(options->list_policy, "pretty") != 0 &&
	    strcmp(options->list_policy, "short") != 0) {
		fprintf(stderr, "iommud: --list-policy is text, pretty or short, not '%s'\n", form);
		exit(2);
	}
}

static unsigned int parse_number(const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number > FD_STORE_MAX) {
		fprintf(stderr, "iommud: --fd-store is a number up to %d, not '%s'\n", FD_STORE_MAX, text);
		exit(2);
	}
	return (unsigned int)number;
}

/* Whether the words behind the options are folders of policy files. */
static bool takes_dirs(const struct options *options)
{
	return options->check_policy || options->list_policy || options->test_policy;
}

static void set_option(struct options *options, int option)
{
	switch (option) {
	case OPTION_CONFIG:
		options->config = optarg;
		return;
	case OPTION_LISTEN:
		options->listen = optarg;
		return;
	case OPTION_HELPER:
		options->helper = optarg;
		return;
	case OPTION_SYSFS:
		options->sysfs = optarg;
		return;
	case OPTION_DEV:
		options->dev = optarg;
		return;
	case OPTION_USER:
		options->user = optarg;
		return;
	case OPTION_STATE:
		options->state = optarg;
		return;
	case OPTION_FD_STORE:
		options->fd_store = parse_number(optarg);
		return;
	case OPTION_POLICY:
		add_policy_dir(options, optarg);
		return;
	case OPTION_ANY_OWNER:
		options->any_owner = true;
		return;
	case OPTION_CHECK_POLICY:
		options->check_policy = true;
		return;
	case OPTION_LIST_POLICY:
		set_list_policy(options, optarg);
		return;
	case OPTION_TEST_POLICY:
		options->test_policy = optarg;
		return;
	case OPTION_DEBUG:
		options->log_level = LOG_DEBUG;
		return;
	case OPTION_HELP:
		print_help();
		exit(0);
	case OPTION_VERSION:
		printf("iommud %s\n", IOMMUD_VERSION);
		exit(0);
	default: /* getopt has said what is wrong */
		fprintf(stderr, "iommud: see 'iommud --help'\n");
		exit(2);
	}
}

void options_parse(int argc, char **argv, struct options *ret)
{
	int option;

	*ret = (struct options){
		.helper = HELPER_SOCKET, .sysfs = "/sys", .dev = "/dev", .state = STATE_DIR, .log_level = LOG_INFO
	};
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		set_option(ret, option);
	for (; takes_dirs(ret) && optind < argc; optind++)
		add_policy_dir(ret, argv[optind]);
	if (optind < argc) {
		fprintf(stderr, "iommud: unexpected argument '%s'; see 'iommud --help'\n", argv[optind]);
		exit(2);
	}
}
