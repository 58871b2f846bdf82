/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A broker in the test's process: on a fake_sysfs, with a fake_helper, and an opener that opens pipes. Everything else is
 * real: registry, viability, policy, the wire to the helper.
 *
 * The machine: 0000:01:00.0, a NIC on e1000e, alone in group 1; 0000:02:00.0, without a driver, alone in group 2;
 * 0000:03:00.0 .1 .2 in group 3, on e1000, nvme and nothing; a bridge 0000:00:1c.0 on pcieport in group 4.
 */
#ifndef IOMMUD_TESTS_BROKER_RIG_H
#define IOMMUD_TESTS_BROKER_RIG_H

#include "broker/broker.h"
#include "fake-helper.h"
#include "hw/helper-client.h"

#define NIC "0000:01:00.0"
#define EDU "0000:02:00.0"
#define SLOT_NIC "0000:03:00.0"
#define SLOT_NVME "0000:03:00.1"
#define SLOT_EDU "0000:03:00.2"
#define BRIDGE "0000:00:1c.0"

/* What the last acquire came to. */
struct outcome {
	unsigned int n; /* how often it was answered */
	int error;
	uint64_t lease;
	size_t n_devices;
	int device_fd[4]; /* closed by rig_forget() */
	int iommu_fd;
	enum refusal_kind refusal;
	char message[768];
	char token[DIGEST_HEX_SIZE];
	char word[32];
	char file[256];
	unsigned int line;
	char label[64], other_label[64];
	enum lease_state state;
};

struct keeper;
struct ownership;

struct rig {
	struct fake_sysfs *sysfs;
	struct fake_helper fake;
	struct registry *registry;
	struct helper_client *helper;
	struct broker *broker;
	int dev_fd;
	struct identity alice, bob, root; /* uids 1000, 1001, 0 */
	struct outcome outcome;
	char events[8192]; /* names of all events, each followed by a blank */
	char last_event[512];
	/* Told every event as well, if set. */
	void (*on_event)(void *userdata, const struct broker_event *event);
	void *on_event_userdata;
};

/* What the fake opener answers; 0: it opens. Reset by rig_start(). */
extern int rig_open_result;
extern unsigned int rig_n_opens;
extern struct opener_device rig_opened; /* the first device of the last open, as the opener was told of it */
/* What the fake kernel answers to the reset of a bus (a positive errno; 0: it is done), and how many it was asked for. */
extern int rig_bus_reset_error;
extern unsigned int rig_n_bus_resets;
/* The kernel module that the next rig_start() gives to the broker; NULL: none. Reset by rig_stop(). */
extern struct ownership *rig_module;
/* The opener of the next rig_start() is one that may block: it runs on a thread, rig_while_opening as well. Reset by rig_stop(). */
extern bool rig_opens_later;
/* Of the next rig_start(), which does not reset them: the broker's folder (-1: none) and its keeper. */
extern int rig_state_fd;
extern const struct keeper *rig_keeper;
extern bool rig_has_iommufd; /* the backend iommufd is there, as it is unless a test says no; reset by rig_stop() */
/* Called in the midst of an open, before it answers. */
extern void (*rig_while_opening)(struct rig *rig);

/* Of the next rig_start(), which does not reset them: what stands for /dev, and what reads the contexts of nodes there. */
extern const char *rig_dev;
extern int (*rig_node_context)(int fd, char *ret, size_t size);

void rig_start(struct rig *rig, const char *policy);
void rig_stop(struct rig *rig);
/*
 * The broker is gone as if by SIGKILL, and another one is there, which has read what the first left; helper, kernel and devices
 * are the same. What it inherits is the test's to hand over, as is recovery: broker_helper_connected(). Peers of the first are not
 * to be used any more; free() frees their memory.
 */
void rig_kill_broker(struct rig *rig, const char *policy);
/* Lets helper and broker talk until nothing more comes. */
void rig_settle(struct rig *rig);
/* Asks for devices (blank-separated) and settles; the outcome is in rig->outcome. */
void rig_acquire(struct rig *rig, struct peer *peer, const char *devices, const char *backend, const char *consent);
/* Closes the descriptors of the outcome. */
void rig_forget(struct rig *rig);
/* The driver sysfs shows, "" for none; static storage. */
const char *rig_driver(struct rig *rig, const char *address);
enum lease_state rig_state(struct rig *rig, uint64_t lease);
bool rig_saw(const struct rig *rig, const char *event);
/* A policy of one file "t.policy"; must load. */
struct policy *rig_policy(const char *text);

#endif
