/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many clients of one broker (broker-rig.h), each with a request of its own that may wait, and what came of it. */
#ifndef IOMMUD_TESTS_ASKER_H
#define IOMMUD_TESTS_ASKER_H

#include "broker-rig.h"

struct asker {
	struct rig *rig;
	struct identity identity;
	struct peer *peer; /* NULL: it has gone */
	bool waits; /* asked, and not answered yet */
	unsigned int n; /* how often it was answered */
	unsigned int place; /* of its last answer, among all askers' since the rig was started */
	int error;
	enum refusal_kind refusal;
	struct refusal said; /* without what is allocated */
	uint64_t lease; /* 0: none */
	char devices[256]; /* of the lease, each followed by a blank */
};

/* Connects. gid and pid are as the uid. */
void asker_come(struct asker *asker, struct rig *rig, uid_t uid);
/* Asks and settles. `devices` is blank-separated. */
void asker_ask(struct asker *asker, const char *devices, unsigned int wait_sec);
void asker_ask_pool(struct asker *asker, const char *pool, size_t count, unsigned int wait_sec);
/* Anything; the request is borrowed for the call. */
void asker_request(struct asker *asker, const struct acquire_request *request);
/* Releases its lease, and settles. */
void asker_give_back(struct asker *asker);
/* Disconnects, and settles. Does nothing if it has gone. */
void asker_go(struct asker *asker);

/* One more device of vendor 8086, alone in its group, without a driver; the broker hears of it. */
void rig_add_device(struct rig *rig, const char *address, int group, const char *numa_node);

#endif
