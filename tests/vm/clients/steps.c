/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "steps.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

const struct daemon_name broker_name = { "iommud.service", "iommud" };
const struct daemon_name helper_name = { "iommud-helper.service", "iommud-helper" };

static const struct {
	const char *name;
	const struct daemon_name *daemon;
	bool workers;
} parties[] = {
	{ "helper", &helper_name, false }, { "workers", &helper_name, true }, { "broker", &broker_name, false },
	{ "openers", &broker_name, true }, { "client", NULL, false },
};

static const struct {
	const char *name;
	int number;
} calls[] = {
	{ "write", SYS_write },
	{ "openat", SYS_openat },
	{ "read", SYS_read },
	{ "pread", SYS_pread64 },
	{ "readlinkat", SYS_readlinkat },
	{ "fstatat", SYS_newfstatat },
	{ "access", SYS_faccessat },
	{ "access2", SYS_faccessat2 },
	{ "getdents", SYS_getdents64 },
	{ "flock", SYS_flock },
	{ "send", SYS_sendto },
	{ "sendmsg", SYS_sendmsg },
	{ "recvmsg", SYS_recvmsg },
	{ "recv", SYS_recvfrom },
	{ "clone", SYS_clone },
	{ "fork", SYS_fork },
	{ "pair", SYS_socketpair },
	{ "pidfd", SYS_pidfd_open },
	{ "truncate", SYS_ftruncate },
	{ "rename", SYS_renameat },
	{ "unlink", SYS_unlinkat },
	{ "exit", SYS_exit_group },
	{ "connect", SYS_connect },
	{ "ioctl", SYS_ioctl },
	{ "close", SYS_close },
	{ "mmap", SYS_mmap },
	{ "brk", SYS_brk },
	{ "poll", SYS_poll },
	{ "epoll", SYS_epoll_wait },
};

static int parse_calls(char *text, int numbers[STEPS_CALLS_MAX + 1])
{
	size_t n = 0;

	for (char *name = strtok(text, ","); name; name = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < COUNT(calls) && strcmp(calls[i].name, name) != 0)
			i++;
		if (i == COUNT(calls) || n == STEPS_CALLS_MAX)
			return say_error("no call %s", name);
		numbers[n++] = calls[i].number;
	}
	numbers[n] = -1;
	return 0;
}

int steps_parse(const char *who, char *calls_text, struct steps *ret)
{
	for (size_t i = 0; i < COUNT(parties); i++)
		if (strcmp(parties[i].name, who) == 0) {
			ret->daemon = parties[i].daemon;
			ret->workers = parties[i].workers;
			return parse_calls(calls_text, ret->calls);
		}
	return say_error("nobody is called %s", who);
}

static FILE *open_processes(const struct daemon_name *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/system.slice/%s/cgroup.procs", name->unit);
	return fopen(path, "re");
}

pid_t daemon_find(const struct daemon_name *name)
{
	FILE *list = open_processes(name), *file;
	char path[64], comm[32];
	pid_t found = 0;
	int pid;

	while (list && !found && fscanf(list, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		file = fopen(path, "re");
		if (file && fscanf(file, "%31s", comm) == 1 && strcmp(comm, name->process) == 0)
			found = pid;
		if (file)
			fclose(file);
	}
	if (list)
		fclose(list);
	return found;
}

void daemon_wait_for_workers(const struct daemon_name *name)
{
	pid_t main_pid = daemon_find(name);
	FILE *list = open_processes(name);
	int pid;

	while (list && fscanf(list, "%d", &pid) == 1) {
		struct pollfd end = { .fd = pid == main_pid ? -1 : (int)syscall(SYS_pidfd_open, pid, 0),
				      .events = POLLIN };

		if (end.fd < 0)
			continue;
		poll(&end, 1, -1);
		close(end.fd);
	}
	if (list)
		fclose(list);
}
