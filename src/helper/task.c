/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging and moving, run in a child. A move holds a lock of its device: a worker may outlive the helper that started it,
 * and the next helper's worker, which puts the device back, must not begin before that one has ended. Reading sysfs is
 * left to children as well, since driver_override and uevent wait for the device's lock.
 */
#include "helper/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/file.h>

#include "helper/authority.h"
#include "helper/in-use.h"
#include "helper/bus-device.h"
#include "helper/vfio-modules.h"
#include "topology/viability.h"
#include "util/cleanup.h"
#include "util/fileio.h"

static void close_device(struct bus_device *device)
{
	bus_device_close(device);
}

static struct outcome outcome_of(enum helper_status status, enum helper_step step, int r)
{
	return (struct outcome){ .status = status, .step = step, .error = -r };
}

/* What only the look for holders needs, and signals, which no worker sends. Dropping what one has can't fail. */
static void drop_unneeded(void)
{
	static const cap_value_t unneeded[] = { CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_KILL };
	cap_t capabilities = cap_get_proc();

	if (!capabilities)
		return;
	(void)cap_set_flag(capabilities, CAP_EFFECTIVE, ARRAY_SIZE(unneeded), unneeded, CAP_CLEAR);
	(void)cap_set_flag(capabilities, CAP_PERMITTED, ARRAY_SIZE(unneeded), unneeded, CAP_CLEAR);
	(void)cap_set_flag(capabilities, CAP_INHERITABLE, ARRAY_SIZE(unneeded), unneeded, CAP_CLEAR);
	(void)cap_set_proc(capabilities);
	cap_free(capabilities);
}

static int read_from_sysfs(int sysfs_fd, const char *address, struct device_state *ret_snapshot,
			   struct device_facts *ret_facts)
{
	_cleanup_(close_device) struct bus_device device = { .fd = -1 };
	int r = bus_device_open(sysfs_fd, address, &device);

	if (r < 0)
		return r;
	r = bus_device_read_facts(&device, ret_facts);
	if (r < 0)
		return r;
	return bus_device_read_snapshot(&device, ret_snapshot);
}

static bool read_device(const struct task *task, const char *address, struct device_state *ret_snapshot,
			struct device_facts *ret_facts, struct worker_report *report)
{
	int r = read_from_sysfs(task->sysfs_fd, address, ret_snapshot, ret_facts);

	if (r == -ENOENT || r == -ENODEV) {
		report->outcome = outcome_of(HELPER_NO_SUCH_DEVICE, HELPER_STEP_NONE, 0);
		snprintf(report->reason, sizeof(report->reason), "there is no device %s", address);
	} else if (r == -ENOTUNIQ) {
		report->outcome = outcome_of(HELPER_REFUSED, HELPER_STEP_NONE, 0);
		snprintf(report->reason, sizeof(report->reason),
			 "%s is a device on more than one bus: which of them is meant can't be said", address);
	} else if (r < 0) {
		report->outcome = outcome_of(HELPER_FAULT, HELPER_STEP_SNAPSHOT, r);
		snprintf(report->reason, sizeof(report->reason), "can't read %s in sysfs", address);
	}
	return r == 0;
}

/* The device that is to be moved is in the report; the one that it is moved for, if that is another, only looked at. */
static void judge(const struct task *task, struct worker_report *report)
{
	const struct authority authority = { .decide = policy_decide,
					     .policy = task->policy,
					     .client_socket = task->client_socket };
	bool parks = task->for_address[0] != '\0';
	struct device_facts facts, client_facts;
	struct device_state client_snapshot;
	const struct authority_device moved = { &report->snapshot, &facts },
				      wanted = { &client_snapshot, &client_facts };
	struct authority_answer answer;

	if (!read_device(task, task->address, &report->snapshot, &facts, report))
		return;
	if (parks && !read_device(task, task->for_address, &client_snapshot, &client_facts, report))
		return;
	strcpy(report->snapshot.moved_to, parks ? DRIVER_PARKING : bus_find(report->snapshot.bus)->vfio_driver);
	if (parks)
		authority_judge(&authority, task->client_fd, &wanted, &moved, &answer);
	else
		authority_judge(&authority, task->client_fd, &moved, NULL, &answer);
	report->outcome = outcome_of(answer.status, HELPER_STEP_NONE, -answer.error);
	report->force = answer.force;
	memcpy(report->reason, answer.reason, sizeof(report->reason));
}

void task_judge(void *userdata, int channel)
{
	struct worker_report report;

	memset(&report, 0, sizeof(report));
	report.done = true;
	drop_unneeded();
	judge(userdata, &report);
	worker_say(channel, &report);
}

/* The lock goes with the process. The files stay: to remove one while another waits for it would break the lock. */
static int lock_device(const struct task *task)
{
	char name[sizeof("lock-") + DEVICE_ADDRESS_MAX];
	int fd;

	snprintf(name, sizeof(name), "lock-%s", task->address);
	fd = openat(task->journal_dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* A move under way. */
struct move {
	const struct task *task;
	int channel;
	struct bus_device device;
	struct in_use in_use;
	struct vfio_modules modules;
};

typedef void (*transition_fn)(const struct transition *transition, const struct device_state *saved,
			      struct outcome *ret);

static void announce(void *userdata, enum helper_step step)
{
	const struct move *move = userdata;
	struct worker_report report;

	memset(&report, 0, sizeof(report));
	report.outcome.step = step;
	worker_say(move->channel, &report);
}

static int claim(void *userdata)
{
	struct move *move = userdata;

	return move->task->force ? 0 : in_use_claim(&move->in_use, move->device.fd);
}

static void release(void *userdata)
{
	struct move *move = userdata;

	in_use_release(&move->in_use);
}

/* A device that is on a vfio driver stays on it, and one that is parked goes to none: no module is looked for. */
static void choose_driver(struct move *move, char ret[DEVICE_DRIVER_MAX])
{
	char modalias[128] = "";

	if (driver_is_vfio(move->task->snapshot->driver) || device_state_is_parked(move->task->snapshot))
		return;
	move->modules.device_fd = move->device.fd;
	move->modules.bus = move->device.bus->name;
	(void)read_file_at(move->device.fd, "modalias", modalias, sizeof(modalias));
	vfio_driver_choose(&vfio_modules_ops, &move->modules, move->device.bus->vfio_driver, modalias, ret);
}

/* Once the device is being unbound, sysfs does not show its nodes any more: said before. */
static void say_nodes(const struct move *move)
{
	struct worker_report report;

	memset(&report, 0, sizeof(report));
	holder_nodes_read(move->task->sysfs_fd, move->device.fd, &report.nodes);
	report.has_nodes = true;
	report.outcome.step = HELPER_STEP_SNAPSHOT;
	worker_say(move->channel, &report);
}

static void run_transition(struct move *move, transition_fn transition, struct outcome *ret, enum helper_status gone)
{
	const struct bus *bus = bus_find(move->task->snapshot->bus);
	char vfio_driver[DEVICE_DRIVER_MAX];
	const struct transition steps = { .ops = &bus_device_ops,
					  .device = &move->device,
					  .vfio_driver = vfio_driver,
					  .announce = announce,
					  .claim = claim,
					  .release = release,
					  .userdata = move };
	int r = lock_device(move->task);

	strcpy(vfio_driver, bus->vfio_driver);
	if (r < 0) {
		*ret = outcome_of(HELPER_FAULT, HELPER_STEP_JOURNAL, r);
		ret->undone = true;
		return;
	}
	r = bus_device_open_on(move->task->sysfs_fd, bus, move->task->address, &move->device);
	if (r < 0) {
		*ret = outcome_of(r == -ENOENT ? gone : HELPER_FAULT, HELPER_STEP_SNAPSHOT, r);
		ret->undone = true;
		return;
	}
	if (transition == transition_prepare)
		choose_driver(move, vfio_driver);
	say_nodes(move);
	transition(&steps, move->task->snapshot, ret);
}

static void run_move(const struct task *task, int channel, transition_fn transition, enum helper_status gone)
{
	struct move move = { .task = task,
			     .channel = channel,
			     .device = { .fd = -1 },
			     .in_use = { .ops = &in_use_host_ops, .dev_fd = task->dev_fd },
			     .modules = { .sysfs_fd = task->sysfs_fd, .folder = task->modules } };
	struct worker_report report;

	memset(&report, 0, sizeof(report));
	report.done = true;
	drop_unneeded();
	run_transition(&move, transition, &report.outcome, gone);
	bus_device_close(&move.device);
	if (report.outcome.status == HELPER_IN_USE)
		snprintf(report.reason, sizeof(report.reason), "%s", move.in_use.detail);
	else
		snprintf(report.reason, sizeof(report.reason), "%s", move.modules.note);
	worker_say(channel, &report);
}

void task_prepare(void *userdata, int channel)
{
	run_move(userdata, channel, transition_prepare, HELPER_FAULT);
}

void task_restore(void *userdata, int channel)
{
	run_move(userdata, channel, transition_restore, HELPER_REPLACED);
}

/* It needs no lock: it only looks, and the device's is held by the worker that waits for those it looks for. */
void task_find_holders(void *userdata, int channel)
{
	const struct task *task = userdata;
	_cleanup_(close_device) struct bus_device device = { .fd = -1 };
	struct holder_nodes nodes = *task->nodes;
	struct worker_report report;
	int r;

	memset(&report, 0, sizeof(report));
	report.done = true;
	if (bus_device_open(task->sysfs_fd, task->address, &device) == 0)
		holder_nodes_read(task->sysfs_fd, device.fd, &nodes);
	r = holders_find("/proc", &nodes, &report.holders);
	report.outcome =
		r < 0 ? outcome_of(HELPER_FAULT, HELPER_STEP_NONE, r) : outcome_of(HELPER_OK, HELPER_STEP_NONE, 0);
	worker_say(channel, &report);
}
