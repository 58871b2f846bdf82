/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iommud-helper: the privileged half. Options, the descriptors that everything else is given, and the policy; the work is
 * in server.c and below.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "helper/server.h"
#include "hw/helper-wire.h"
#include "util/cleanup.h"
#include "util/config.h"
#include "util/fileio.h"
#include "util/log.h"

#define POLICY_DIRS_MAX 16

struct arguments {
	const char *socket;
	const char *broker_user;
	const char *journal;
	const char *sysfs;
	const char *dev;
	const char *config; /* NULL: the system's */
	unsigned int worker_timeout; /* seconds; 0: as iommud.conf says, and so is the next */
	unsigned int max_workers;
	const char *policy_dirs[POLICY_DIRS_MAX + 1];
	size_t n_policy_dirs;
	bool done; /* --help, --version */
	struct helper_options options;
};

static const char help[] =
	"Usage: iommud-helper [OPTION]...\n"
	"The privileged half of iommud: moves devices between drivers for the broker.\n"
	"\n"
	"  --socket PATH         listen here (default " HELPER_SOCKET ", or systemd's socket)\n"
	"  --broker-user NAME    the only user that is served (default iommud)\n"
	"  --client-socket PATH  where the broker's clients connect (default /run/iommud/io.iommud)\n"
	"  --journal DIR         what has to be put back (default /run/iommud-helper)\n"
	"  --sysfs DIR           sysfs, or a stand-in (default /sys)\n"
	"  --dev DIR             where the nodes of disks are (default /dev)\n"
	"  --modules DIR         the kernel's modules (default those of the running kernel)\n"
	"  --policy DIR          a folder of policy files instead of the system's; may be repeated, highest first\n"
	"  --policy-any-owner    take policy files of any owner (for development)\n"
	"  --config FILE         read this instead of /etc/iommud/iommud.conf\n"
	"  --worker-timeout SEC  answer after this time, whatever a driver does (instead of WorkerTimeoutSec= there)\n"
	"  --max-workers N       jobs at a time, blocked ones included (instead of MaxWorkers= there)\n"
	"  --version, --help\n";

enum option_code {
	OPTION_SOCKET = 256,
	OPTION_BROKER_USER,
	OPTION_CLIENT_SOCKET,
	OPTION_JOURNAL,
	OPTION_SYSFS,
	OPTION_DEV,
	OPTION_MODULES,
	OPTION_POLICY,
	OPTION_POLICY_ANY_OWNER,
	OPTION_CONFIG,
	OPTION_WORKER_TIMEOUT,
	OPTION_MAX_WORKERS,
	OPTION_VERSION,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPTION_SOCKET },
	{ "broker-user", required_argument, NULL, OPTION_BROKER_USER },
	{ "client-socket", required_argument, NULL, OPTION_CLIENT_SOCKET },
	{ "journal", required_argument, NULL, OPTION_JOURNAL },
	{ "sysfs", required_argument, NULL, OPTION_SYSFS },
	{ "dev", required_argument, NULL, OPTION_DEV },
	{ "modules", required_argument, NULL, OPTION_MODULES },
	{ "policy", required_argument, NULL, OPTION_POLICY },
	{ "policy-any-owner", no_argument, NULL, OPTION_POLICY_ANY_OWNER },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "worker-timeout", required_argument, NULL, OPTION_WORKER_TIMEOUT },
	{ "max-workers", required_argument, NULL, OPTION_MAX_WORKERS },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static int parse_number(const char *option, const char *text, unsigned int limit, unsigned int *ret)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < 1 || value > limit) {
		log_error("--%s: \"%s\" is no number from 1 to %u", option, text, limit);
		return -EINVAL;
	}
	*ret = value;
	return 0;
}

static int add_policy_dir(struct arguments *arguments, const char *dir)
{
	if (arguments->n_policy_dirs == POLICY_DIRS_MAX) {
		log_error("--policy: more than %d folders", POLICY_DIRS_MAX);
		return -EINVAL;
	}
	arguments->policy_dirs[arguments->n_policy_dirs++] = dir;
	arguments->options.policy_dirs = arguments->policy_dirs;
	return 0;
}

static int apply_option(struct arguments *arguments, enum option_code code)
{
	switch (code) {
	case OPTION_SOCKET:
		arguments->socket = optarg;
		return 0;
	case OPTION_BROKER_USER:
		arguments->broker_user = optarg;
		return 0;
	case OPTION_CLIENT_SOCKET:
		arguments->options.client_socket = optarg;
		return 0;
	case OPTION_JOURNAL:
		arguments->journal = optarg;
		return 0;
	case OPTION_SYSFS:
		arguments->sysfs = optarg;
		return 0;
	case OPTION_DEV:
		arguments->dev = optarg;
		return 0;
	case OPTION_MODULES:
		arguments->options.modules = optarg;
		return 0;
	case OPTION_POLICY:
		return add_policy_dir(arguments, optarg);
	case OPTION_POLICY_ANY_OWNER:
		arguments->options.policy_any_owner = true;
		return 0;
	case OPTION_CONFIG:
		arguments->config = optarg;
		return 0;
	case OPTION_WORKER_TIMEOUT:
		return parse_number("worker-timeout", optarg, CONFIG_WORKER_TIMEOUT_MAX, &arguments->worker_timeout);
	case OPTION_MAX_WORKERS:
		return parse_number("max-workers", optarg, CONFIG_WORKERS_MAX, &arguments->max_workers);
	case OPTION_VERSION:
		printf("iommud-helper " IOMMUD_VERSION "\n");
		arguments->done = true;
		return 0;
	case OPTION_HELP:
		fputs(help, stdout);
		arguments->done = true;
		return 0;
	}
	return -EINVAL;
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	int code;

	while (!arguments->done && (code = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (code == '?' || apply_option(arguments, code) < 0)
			return -EINVAL;
	}
	if (!arguments->done && optind < argc) {
		log_error("unexpected argument \"%s\"", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

/* What the command line says goes before the file. */
static int configure(struct helper *helper, const struct arguments *arguments)
{
	struct config config;
	int r = config_start(arguments->config, &config);

	helper->options = arguments->options;
	helper->options.worker_timeout_usec =
		arguments->worker_timeout ? arguments->worker_timeout * UINT64_C(1000000) : config.worker_timeout_usec;
	helper->options.max_workers = arguments->max_workers ? arguments->max_workers : config.max_workers;
	return r;
}

static int find_broker(const char *name, uid_t *ret)
{
	const struct passwd *user;

	errno = 0;
	user = getpwnam(name);
	if (!user) {
		log_error("there is no user \"%s\"; systemd-sysusers makes iommud's, --broker-user names another",
			  name);
		return errno ? -errno : -ENOENT;
	}
	*ret = user->pw_uid;
	return 0;
}

/* What it holds makes root write to sysfs: nobody else may have put it there. */
static int open_journal_dir(const char *path)
{
	_cleanup_fd_ int fd = -1;
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077)) {
		log_error("%s must belong to uid %u and be closed to all others (mode 0700)", path, geteuid());
		return -EPERM;
	}
	return TAKE_FD(fd);
}

static int open_socket(const struct arguments *arguments, uid_t broker_uid)
{
	int n = sd_listen_fds(1);
	int r;

	if (n < 0)
		return n;
	if (n == 0 || arguments->socket)
		return server_listen(arguments->socket ? arguments->socket : HELPER_SOCKET, broker_uid);
	r = sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0);
	if (r < 0)
		return r;
	if (n > 1 || r == 0) {
		log_error("systemd passed %d socket(s), not one listening SOCK_SEQPACKET", n);
		return -EINVAL;
	}
	r = fcntl(SD_LISTEN_FDS_START, F_SETFL, O_NONBLOCK);
	return r < 0 ? -errno : SD_LISTEN_FDS_START;
}

static int fail(const char *what, const char *path, int r)
{
	log_error("%s %s: %s", what, path, strerror(-r));
	return r;
}

static int set_up(struct helper *helper, const struct arguments *arguments, int *ret_listen_fd)
{
	int r;

	r = find_broker(arguments->broker_user, &helper->options.broker_uid);
	if (r < 0)
		return r;
	helper->sysfs_fd = open_dir_at(AT_FDCWD, arguments->sysfs);
	if (helper->sysfs_fd < 0)
		return fail("can't open", arguments->sysfs, helper->sysfs_fd);
	helper->dev_fd = open_dir_at(AT_FDCWD, arguments->dev);
	if (helper->dev_fd < 0)
		return fail("can't open", arguments->dev, helper->dev_fd);
	helper->journal_dir_fd = open_journal_dir(arguments->journal);
	if (helper->journal_dir_fd < 0)
		return fail("can't use the journal's folder", arguments->journal, helper->journal_dir_fd);
	r = journal_open(helper->journal_dir_fd, &helper->journal);
	if (r < 0)
		return fail(r == -EBUSY ? "another helper has the journal in" : "can't open the journal in",
			    arguments->journal, r);
	r = policy_new_empty(&helper->policy);
	if (r < 0)
		return r;
	helper_load_policy(helper);
	*ret_listen_fd = open_socket(arguments, helper->options.broker_uid);
	if (*ret_listen_fd < 0)
		return fail("can't listen at", arguments->socket ? arguments->socket : HELPER_SOCKET, *ret_listen_fd);
	return 0;
}

static void tear_down(struct helper *helper)
{
	policy_free(helper->policy);
	journal_free(helper->journal);
	close_fd(helper->journal_dir_fd);
	close_fd(helper->dev_fd);
	close_fd(helper->sysfs_fd);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {
		.broker_user = "iommud",
		.journal = "/run/iommud-helper",
		.sysfs = "/sys",
		.dev = "/dev",
		.options = { .client_socket = "/run/iommud/io.iommud", .policy_dirs = policy_default_dirs },
	};
	struct helper helper = { .sysfs_fd = -1, .journal_dir_fd = -1, .dev_fd = -1 };
	int listen_fd = -1;
	int r;

	log_init("iommud-helper", LOG_INFO);
	if (parse_arguments(argc, argv, &arguments) < 0)
		return 2;
	if (arguments.done)
		return 0;
	r = configure(&helper, &arguments);
	if (r == 0)
		r = set_up(&helper, &arguments, &listen_fd);
	if (r == 0)
		r = server_run(&helper, listen_fd);
	if (r < 0)
		log_error("ended: %s", strerror(-r));
	close_fd(listen_fd);
	tear_down(&helper);
	return r < 0 ? 1 : 0;
}
