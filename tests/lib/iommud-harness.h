/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real iommud and the real iommud-helper ($IOMMUD_BUILD) together, on a fake kernel (fuse-sysfs.h) and on nodes that
 * stand in for vfio's: /dev/zero and its like, which the client can tell apart. Everything lies in a temporary folder. A
 * subscription of root's tells what happens, so that a test waits for events and never for time to pass. Functions fail
 * the cmocka test when something is wrong.
 */
#ifndef IOMMUD_TESTS_IOMMUD_HARNESS_H
#define IOMMUD_TESTS_IOMMUD_HARNESS_H

#include <sys/types.h>

#include "fuse-sysfs.h"
#include "notify-store.h"
#include "varlink-client.h"

#define MACHINE_WAIT 20 /* seconds after which a wait is a failure */

#define ALICE 1000
#define BOB 1001
#define BROKER_UID 65534 /* nobody */

/* The devices of the fake machine. Alice and Bob may have NIC, DISK, BARE, IDLE and GONE; and of the others what is said. */
#define NIC "0000:00:01.0" /* e1000e, group 1 */
#define DISK "0000:00:02.0" /* nvme, group 2 */
#define BARE "0000:00:03.0" /* no driver, group 3, with an override */
#define SPARE "0000:00:04.0" /* e1000e, group 4: Bob only */
#define IDLE "0000:00:05.0" /* on a vfio driver already, group 5 */
#define TWIN_A "0000:00:06.0" /* e1000e, group 6, with TWIN_B: Alice with the label blue, Bob with red */
#define TWIN_B "0000:00:06.1" /* on a vfio driver already */
#define CROWD_A "0000:00:07.0" /* e1000e, group 7, with CROWD_B: Alice, whole group */
#define CROWD_B "0000:00:07.1" /* on nvme, which is in the way */
#define FORBIDDEN "0000:00:08.0" /* group 8, denied to all by the first rule */
#define UNKNOWN "0000:00:09.0" /* group 9, no rule */
#define LOOSE "0000:00:0a.0" /* no group */

/* Parameters of Acquire, and of what takes one device. */
#define ONE(device) "{\"devices\":[\"" device "\"]}"
#define TWO(first, second) "{\"devices\":[\"" first "\",\"" second "\"]}"
#define OF(device) "{\"device\":\"" device "\"}"

struct machine {
	struct fuse_sysfs *sysfs;
	char dir[64];
	char socket[80]; /* where clients connect */
	pid_t iommud, helper; /* -1: does not run; the helper leads a process group of it and its workers */
	int notify_fd;
	int writes, writes_writer; /* a pipe: one byte for each write to sysfs that took effect */
	struct varlink_client watch; /* root's subscription */
	struct notify_store store; /* what iommud has kept, as of its last start or machine_drain_store() */
	bool writes_down; /* iommud gets a folder for its state */
	bool keeps; /* and a service manager that keeps descriptors */
	/* For the next start; NULL: the default. */
	const char *rules; /* text of the one policy file; for machine_start() */
	const char *config; /* text of iommud.conf, for both */
	const char *worker_timeout;
};

/* Both daemons with the machine's devices and rules. Skips the test where there is no FUSE or no root. */
void machine_start(struct machine *machine);
/* Stops both, checks that they leave with 0, and that no sanitizer has anything to say. */
void machine_stop(struct machine *machine);

/* The one or the other; returns when it is ready. iommud comes with the subscription. */
void machine_start_helper(struct machine *machine);
void machine_start_iommud(struct machine *machine);
void machine_stop_iommud(struct machine *machine);
/* What iommud has told the store by now. */
void machine_drain_store(struct machine *machine);
/* SIGKILL, and waits for it; the helper's workers die as well. */
void machine_kill_iommud(struct machine *machine);
void machine_kill_helper(struct machine *machine);
/*
 * Runs "$IOMMUD_BUILD/PROGRAM ARGUMENT..." (NULL-terminated) as this user to its end, with $IOMMUD_SOCKET and
 * $IOMMUD_DAEMON set, and nothing on standard input. Returns the exit status, -1 for a signal, and all that it printed (free()).
 */
int machine_run(struct machine *machine, uid_t uid, char **ret_output, const char *program, ...)
	__attribute__((sentinel));

/* Replaces DIR/NAME by this text. */
void machine_write(struct machine *machine, const char *name, const char *text);
/* The rules that all of the above is about; they are in this file. */
extern const char machine_rules[];
#define RULES_FILE "policy/10-test.policy"
/* The hook that machine_wait_tree() lives by; one of a test's own must call it. */
int machine_hook(void *userdata, const struct fuse_sysfs_write *write);
/* SIGHUP. */
void machine_reload(struct machine *machine);
/* Makes DIR/dev/vfio/devices/vfioN of a device with another node's number, or (0) without any. */
void machine_replace_node(struct machine *machine, const char *address, unsigned int minor);
/* Both logs (free()). */
char *machine_log(struct machine *machine);
/* Open descriptors of iommud. */
size_t machine_count_fds(const struct machine *machine);

/* Waits for root's next event of this name; the caller clears the reply. */
struct varlink_reply machine_await(struct machine *machine, const char *event);
/* The same for an event of which nothing else is of interest. */
void machine_expect_event(struct machine *machine, const char *event);
/* Waits until the log contains this text. */
void machine_wait_log(struct machine *machine, const char *text);
/* Waits until the fake kernel's state contains this line: "ADDRESS driver=NAME override=NAME\n". */
void machine_wait_tree(struct machine *machine, const char *expected);
/* It does so now. */
void machine_assert_tree(struct machine *machine, const char *expected);

/* ---- clients ---- */

/* Raw system calls, which change this thread only and not those that serve the file system: uid, gid and no groups. */
void machine_become(uid_t uid);
/* Connects as this user; to be closed by varlink_client_close(). */
struct varlink_client machine_connect(const struct machine *machine, uid_t uid);
/* The reply to a call of io.iommud.METHOD. */
struct varlink_reply machine_call(struct varlink_client *client, const char *method, const char *parameters);
/* Must be answered by this error ("io.iommud." may be left out) and message contain this text (NULL: any). */
struct varlink_reply machine_refused(struct varlink_client *client, const char *method, const char *parameters,
				     const char *error, const char *message);
/* The same, when only error and message are of interest. */
void machine_expect_refusal(struct varlink_client *client, const char *method, const char *parameters,
			    const char *error, const char *message);
/* Must be granted; `parameters` as for Acquire. The caller clears the reply, which closes the descriptors. */
struct varlink_reply machine_acquire(struct varlink_client *client, const char *parameters);
/* Must be granted; closes the descriptors and returns the lease's number. */
long long machine_take(struct varlink_client *client, const char *parameters);
void machine_release(struct varlink_client *client, long long lease);
/* Acquires and releases a device as this user, on a connection of its own: the daemons are of service to others. */
void machine_serves(struct machine *machine, uid_t uid, const char *address);

/* A member of the reply's parameters by a path of keys and indexes, as in "devices.0.address". NULL: not there. */
json_object *machine_get(const struct varlink_reply *reply, const char *path);
/* Its text; "" for what is not there. */
const char *machine_text(const struct varlink_reply *reply, const char *path);

#endif
