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
#include "helper/label-device.h"
#include "helper/mdev.h"
#include "helper/bus-device.h"
#include "helper/vfio-modules.h"
#include "helper/vfs.h"
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

/*
 * What only the look for holders needs, and that at the client's process; signals and limits, which are no worker's. Dropping
 * what one has can't fail.
 */
static void drop_unneeded(void)
{
	static const cap_value_t unneeded[] = { CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SYS_RESOURCE };
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
	r = device_facts_read(&device, ret_facts);
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

/* An mdev is on a vfio driver, and stays there. */
static void set_target(struct device_state *snapshot, bool parks)
{
	const char *general = bus_find(snapshot->bus)->vfio_driver;

	strcpy(snapshot->moved_to, parks ? DRIVER_PARKING : general ? general : snapshot->driver);
}

/* Who had the device before, the broker knows; whether that matters, the policy. */
static enum transition_reset choose_reset(uint32_t flags, enum policy_reset wanted)
{
	if (!(flags & HELPER_RESET) || wanted == POLICY_RESET_NO)
		return TRANSITION_NO_RESET;
	return wanted == POLICY_RESET_REQUIRE ? TRANSITION_RESET : TRANSITION_RESET_IF_POSSIBLE;
}

static void report_answer(const struct authority_answer *answer, struct worker_report *report)
{
	report->outcome = outcome_of(answer->status, HELPER_STEP_NONE, -answer->error);
	memcpy(report->reason, answer->reason, sizeof(report->reason));
}

/* The device that is to be moved is in the report; the one that it is moved for, if that is another, only looked at. */
static void judge(const struct task *task, const struct authority *authority, const struct identity *client,
		  struct worker_report *report)
{
	bool parks = task->for_address[0] != '\0';
	struct device_facts facts, client_facts;
	struct device_state client_snapshot;
	const struct authority_device moved = { &report->snapshot, &facts, NULL },
				      wanted = { &client_snapshot, &client_facts,
						 task->flags & HELPER_LATE ? task->wanted : NULL };
	struct authority_answer answer;

	if (!read_device(task, task->address, &report->snapshot, &facts, report))
		return;
	if (parks && !read_device(task, task->for_address, &client_snapshot, &client_facts, report))
		return;
	set_target(&report->snapshot, parks);
	if (parks)
		authority_judge(authority, client, &wanted, &moved, &answer);
	else
		authority_judge(authority, client, &moved, NULL, &answer);
	report_answer(&answer, report);
	report->force = answer.force;
	report->reset = choose_reset(task->flags, answer.reset);
	report->label = answer.label;
}

void task_judge(void *userdata, int channel)
{
	const struct task *task = userdata;
	const struct authority authority = {
		.decide = policy_decide, .policy = task->policy, .client_socket = task->client_socket, .proc = "/proc"
	};
	struct identity client = IDENTITY_INIT;
	struct authority_answer answer;
	struct worker_report report;
	bool identified = authority_identify(&authority, task->client_fd, &client, &answer);

	memset(&report, 0, sizeof(report));
	report.done = true;
	drop_unneeded();
	if (identified)
		judge(task, &authority, &client, &report);
	else
		report_answer(&answer, &report);
	identity_clear(&client);
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
	struct mdev mdev; /* instead, of one */
	struct in_use in_use;
	struct vfio_modules modules;
	struct node_labels labels;
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

/* A device that is on a vfio driver stays on it, as mdevs are, and one that is parked goes to none: no module is looked for. */
static void choose_driver(struct move *move, char ret[DEVICE_DRIVER_MAX])
{
	char modalias[128] = "";

	const struct device_state *saved = move->task->snapshot;

	if (device_state_is_mdev(saved) || driver_is_vfio(saved->driver) || device_state_is_parked(saved))
		return;
	move->modules.device_fd = move->device.fd;
	move->modules.bus = move->device.bus->name;
	(void)read_file_at(move->device.fd, "modalias", modalias, sizeof(modalias));
	vfio_driver_choose(&vfio_modules_ops, &move->modules, move->device.bus->vfio_driver, modalias, ret);
}

/* Once the device is being unbound, sysfs does not show its nodes any more: said before. One that we removed has none. */
static void say_nodes(const struct move *move, int device_fd)
{
	struct worker_report report;

	memset(&report, 0, sizeof(report));
	holder_nodes_read(move->task->sysfs_fd, device_fd, &report.nodes);
	report.has_nodes = true;
	report.outcome.step = HELPER_STEP_SNAPSHOT;
	worker_say(move->channel, &report);
}

static int open_moved(struct move *move, struct transition *steps)
{
	const struct device_state *saved = move->task->snapshot;

	if (device_state_is_mdev(saved)) {
		steps->ops = &mdev_ops;
		steps->device = &move->mdev;
		steps->reset = TRANSITION_NO_RESET; /* it was made again when the last lease ended */
		return mdev_open(move->task->sysfs_fd, move->task->journal_dir_fd, saved, &move->mdev);
	}
	steps->ops = &bus_device_ops;
	steps->device = &move->device;
	return bus_device_open_on(move->task->sysfs_fd, bus_find(saved->bus), saved->id.address, &move->device);
}

/* The device is back: what its nodes had, as far as they are there still, is put back last. */
static void unlabel(struct move *move, struct outcome *ret)
{
	int r = node_labels_put_back(&move->labels);

	if (r < 0)
		*ret = outcome_of(HELPER_FAULT, HELPER_STEP_LABEL, r);
}

/* Nodes that can't have the context that they must have are not handed out. */
static void label_prepared(struct move *move, const struct transition *steps, struct outcome *ret)
{
	const struct task *task = move->task;
	int device_fd = device_state_is_mdev(task->snapshot) ? move->mdev.device.fd : move->device.fd;
	struct outcome undo;
	int r;

	if (task->label->kind == POLICY_LABEL_NONE || !selinux_is_active())
		return;
	announce(move, HELPER_STEP_LABEL);
	r = label_device(&move->labels, task->sysfs_fd, device_fd, task->label);
	if (r == 0)
		return;
	*ret = outcome_of(HELPER_FAULT, HELPER_STEP_LABEL, r);
	transition_restore(steps, task->snapshot, &undo);
	if (undo.status != HELPER_FAULT)
		unlabel(move, &undo);
	ret->undone = undo.status != HELPER_FAULT;
}

static void run_transition(struct move *move, transition_fn transition, struct outcome *ret, enum helper_status gone)
{
	char vfio_driver[DEVICE_DRIVER_MAX] = "";
	struct transition steps = {
		.reset = move->task->reset, .announce = announce, .claim = claim, .release = release, .userdata = move
	};
	int device_fd, r;

	announce(move, HELPER_STEP_LOCK);
	r = lock_device(move->task);
	if (r < 0) {
		*ret = outcome_of(HELPER_FAULT, HELPER_STEP_JOURNAL, r);
		ret->undone = true;
		return;
	}
	r = open_moved(move, &steps);
	if (r < 0) {
		*ret = outcome_of(r == -ENOENT ? gone : HELPER_FAULT, HELPER_STEP_SNAPSHOT, r);
		ret->undone = true;
		return;
	}
	if (transition == transition_prepare)
		choose_driver(move, vfio_driver);
	device_fd = device_state_is_mdev(move->task->snapshot) ? move->mdev.device.fd : move->device.fd;
	if (device_fd >= 0)
		say_nodes(move, device_fd);
	steps.vfio_driver = vfio_driver[0] ? vfio_driver : NULL;
	steps.stays = move->task->flags & HELPER_STAYS;
	transition(&steps, move->task->snapshot, ret);
	if (transition == transition_prepare && ret->status == HELPER_OK)
		label_prepared(move, &steps, ret);
	else if (transition != transition_park_again && ret->status != HELPER_FAULT)
		unlabel(move, ret);
}

static void run_move(const struct task *task, int channel, transition_fn transition, enum helper_status gone)
{
	struct move move = { .task = task,
			     .channel = channel,
			     .device = { .fd = -1 },
			     .mdev = { .device = { .fd = -1 } },
			     .in_use = { .ops = &in_use_host_ops, .dev_fd = task->dev_fd },
			     .modules = { .sysfs_fd = task->sysfs_fd, .folder = task->modules },
			     .labels = { .ops = &node_label_selinux,
					 .dev_fd = task->dev_fd,
					 .journal_dir_fd = task->journal_dir_fd,
					 .transaction = task->transaction } };
	struct worker_report report;

	memset(&report, 0, sizeof(report));
	report.done = true;
	drop_unneeded();
	run_transition(&move, transition, &report.outcome, gone);
	bus_device_close(&move.device);
	mdev_close(&move.mdev);
	if (report.outcome.status == HELPER_IN_USE)
		snprintf(report.reason, sizeof(report.reason), "%s", move.in_use.detail);
	else
		snprintf(report.reason, sizeof(report.reason), "%s", move.modules.note);
	memcpy(report.labels_note, move.labels.note, sizeof(report.labels_note));
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

void task_park_again(void *userdata, int channel)
{
	run_move(userdata, channel, transition_park_again, HELPER_REPLACED);
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

/* What is made for the host is not put back, so nothing of it is in the journal. */
static void make_vfs(const struct task *task, struct worker_report *report)
{
	_cleanup_(close_device) struct bus_device device = { .fd = -1 };
	struct policy_subject subject;
	struct vfs_result result;
	struct device_facts facts;
	int r = lock_device(task);

	if (r < 0) {
		report->outcome = outcome_of(HELPER_FAULT, HELPER_STEP_NONE, r);
		return;
	}
	if (!read_device(task, task->address, &report->snapshot, &facts, report))
		return;
	r = bus_device_open(task->sysfs_fd, task->address, &device);
	if (r < 0) {
		report->outcome = outcome_of(HELPER_NO_SUCH_DEVICE, HELPER_STEP_NONE, 0);
		return;
	}
	subject = authority_subject(&report->snapshot);
	vfs_make(device.fd, task->policy, &subject, &result);
	report->outcome = result.outcome;
	report->n_made = result.n_made;
	strcpy(report->reason, result.detail);
}

void task_make_vfs(void *userdata, int channel)
{
	const struct task *task = userdata;
	struct worker_report report;

	memset(&report, 0, sizeof(report));
	report.outcome.step = HELPER_STEP_MAKE_VFS;
	worker_say(channel, &report);
	drop_unneeded();
	make_vfs(task, &report);
	report.done = true;
	worker_say(channel, &report);
}
