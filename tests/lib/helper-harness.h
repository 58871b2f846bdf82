/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real iommud-helper ($IOMMUD_BUILD/iommud-helper) on a fake kernel, with a broker (user nobody) and a client (root)
 * played by the test. Everything lies in a temporary folder. Functions fail the cmocka test when something is wrong.
 */
#ifndef IOMMUD_TESTS_HELPER_HARNESS_H
#define IOMMUD_TESTS_HELPER_HARNESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "fuse-sysfs.h"
#include "hw/helper-wire.h"

#define HARNESS_WAIT 20 /* seconds after which a wait is a failure */

/* The devices of the fake machine. */
#define NIC "0000:00:01.0" /* e1000e, group 1, has a serial number */
#define DISK "0000:00:02.0" /* nvme, group 2 */
#define BARE "0000:00:03.0" /* no driver, group 3, with an override */
#define IDLE "0000:00:04.0" /* on a vfio driver already, group 4 */
#define STUB "0000:00:05.0" /* on pci-stub by an override taken back, group 5 */
#define TWIN_A "0000:00:06.0" /* both in group 6 */
#define TWIN_B "0000:00:06.1"
#define BRIDGE "0000:00:07.0" /* alone in group 7 */
#define LOOSE "0000:00:08.0" /* no group */
#define FORBIDDEN "0000:00:09.0" /* group 9, no rule */
#define WANTED "0000:00:0a.0" /* e1000e, group 10; its rule parks bystanders */
#define BYSTANDER "0000:00:0a.1" /* nvme, in group 10, no rule */
#define ONLOOKER "0000:00:0a.2" /* e1000e, in group 10, no rule, with an override */
#define ELBOW "0000:00:0a.3" /* a bridge in group 10 */

struct harness {
	struct fuse_sysfs *sysfs;
	char dir[64];
	char socket_path[96];
	char client_path[96];
	pid_t helper; /* leads a process group of it and its workers; -1: does not run */
	int events; /* a pipe: one byte for each write that took effect */
	int events_writer;
	int notify_fd;
	int listener; /* of clients */
	int client; /* the client's end */
	int accepted; /* the broker's end */
	int broker; /* connection to the helper */
	uint64_t serial;
	uint8_t digest[DIGEST_SIZE];
	const char *timeout; /* WorkerTimeoutSec= for the next start; NULL: the default */
	const char *max_workers; /* MaxWorkers=, likewise */
};

/* 0, or skips the test where there is no FUSE or no root. */
void harness_start(struct harness *harness);
void harness_stop(struct harness *harness);

/* Starts the helper and waits until it is ready. */
void harness_start_helper(struct harness *harness);
/* SIGTERM; checks that it exits with 0. */
void harness_stop_helper(struct harness *harness);
/* Waits for a helper that was killed, and for its workers. */
void harness_reap_helper(struct harness *harness);

/* Replaces the rules. */
void harness_write_policy(struct harness *harness, const char *text);

/* Connects as `uid`. -1 and errno. */
int harness_connect(struct harness *harness, uid_t uid);
/* As the broker; learns the policy's digest by HELLO. */
void harness_connect_broker(struct harness *harness);

struct helper_request harness_request(struct harness *harness, enum helper_operation operation);
void harness_send_raw(int fd, const void *data, size_t size, const int *fds, size_t n_fds);
void harness_send(struct harness *harness, const struct helper_request *request, int fd);
/* The next reply; false: the connection was closed. */
bool harness_receive(struct harness *harness, struct helper_reply *ret);
/* Sends and receives, and checks that the reply is that request's. */
struct helper_reply harness_call(struct harness *harness, const struct helper_request *request, int fd);

struct helper_reply harness_prepare(struct harness *harness, const char *address);
struct helper_reply harness_park(struct harness *harness, const char *address, const char *for_address);
struct helper_reply harness_restore(struct harness *harness, uint64_t transaction);
/* Sends without waiting; the serial of the request. */
uint64_t harness_send_prepare(struct harness *harness, const char *address);
uint64_t harness_send_park(struct harness *harness, const char *address, const char *for_address);
uint64_t harness_send_restore(struct harness *harness, uint64_t transaction);

/* Waits until the tree is as `expected` says: fuse_sysfs_describe(), or lines of it. */
void harness_wait_tree(struct harness *harness, const char *expected);
/* Waits until the helper has no open transaction. */
void harness_wait_closed(struct harness *harness);
/* Open descriptors of the helper. */
size_t harness_count_fds(const struct harness *harness);
/* A hook that only tells of writes; the default. */
int harness_hook(void *userdata, const struct fuse_sysfs_write *write);

#endif
