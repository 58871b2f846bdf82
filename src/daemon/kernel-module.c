/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/kernel-module.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "broker/broker.h"
#include "util/cleanup.h"
#include "util/fileio.h"
#include "util/log.h"

#define PATIENCE_MSEC 5000 /* for udev, which gives the node its group */

static int64_t now_msec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: the time is over. Which file it was about does not matter: who asks looks again. */
static bool wait_for_change(int watch, int64_t until)
{
	char events[4096];
	struct pollfd poller = { .fd = watch, .events = POLLIN };
	int64_t left = until - now_msec();

	if (left <= 0 || poll(&poller, 1, (int)left) <= 0)
		return false;
	return read(watch, events, sizeof(events)) > 0;
}

static bool is_worth_waiting(enum config_module wanted, int r)
{
	return r == -EACCES || (r == -ENOENT && wanted == CONFIG_MODULE_REQUIRE);
}

/* Watched before it is looked at, so that nothing falls between. */
static int find(enum config_module wanted, const char *dev, struct ownership **ret)
{
	_cleanup_fd_ int watch = inotify_init1(IN_CLOEXEC);
	_cleanup_fd_ int dev_fd = open_dir_at(AT_FDCWD, dev);
	int64_t until = now_msec() + PATIENCE_MSEC;
	int r;

	if (watch < 0 || inotify_add_watch(watch, dev, IN_CREATE | IN_ATTRIB | IN_MOVED_TO) < 0)
		return -errno;
	if (dev_fd < 0)
		return dev_fd;
	do {
		r = ownership_new(&ownership_kernel, dev_fd, ret);
	} while (is_worth_waiting(wanted, r) && wait_for_change(watch, until));
	return r;
}

static const char *explain(int r)
{
	switch (r) {
	case -ENOENT:
		return "it is not loaded; see iommud(4), and 'modprobe iommud'";
	case -EACCES:
	case -EPERM:
		return "/dev/iommud is not for the group iommud; is the rule 70-iommud.rules installed, and was iommud started "
		       "after the module was loaded?";
	case -EPROTO:
		return "it is of another version than iommud; install both from one";
	default:
		return strerror(-r);
	}
}

int kernel_module_start(enum config_module wanted, const char *dev, struct ownership **ret)
{
	struct ownership *module = NULL;
	int r;

	*ret = NULL;
	if (wanted == CONFIG_MODULE_OFF)
		return 0;
	r = find(wanted, dev, &module);
	if (r == 0) {
		log_notice("the kernel module keeps what is leased (ABI %u)", module->abi_version);
		*ret = module;
		return 0;
	}
	if (wanted == CONFIG_MODULE_PREFER) {
		log_notice("without the kernel module: %s", explain(r));
		return 0;
	}
	log_error(
		"KernelModule=require in iommud.conf, and the kernel module can't be used: %s; or say KernelModule=prefer "
		"and do with less",
		explain(r));
	return r;
}

void kernel_module_report(enum config_module wanted, const struct broker *broker)
{
	const char *weaknesses[GUARANTEES_MAX];
	size_t n = broker_weaknesses(broker, weaknesses);

	for (size_t i = 0; i < n; i++)
		log_line(wanted == CONFIG_MODULE_OFF ? LOG_INFO : LOG_WARNING, "%s", weaknesses[i]);
}
