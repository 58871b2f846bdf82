/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "asker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static unsigned int n_answers;

void asker_come(struct asker *asker, struct rig *rig, uid_t uid)
{
	memset(asker, 0, sizeof(*asker));
	asker->rig = rig;
	asker->identity = (struct identity){ .uid = uid, .gid = uid, .pid = (pid_t)uid, .pidfd = -1 };
	asker->peer = peer_new(rig->broker, &asker->identity, 0);
	if (!asker->peer)
		abort();
}

static void keep_refusal(struct asker *asker, const struct refusal *refusal)
{
	asker->said = *refusal;
	asker->said.file = asker->said.label = asker->said.other_label = NULL;
	memset(&asker->said.verdict, 0, sizeof(asker->said.verdict));
	memset(&asker->said.bystanders, 0, sizeof(asker->said.bystanders));
}

static void answered(void *userdata, int error, const struct lease *lease, struct opened *opened,
		     const struct refusal *refusal)
{
	struct asker *asker = userdata;

	asker->waits = false;
	asker->n++;
	asker->place = ++n_answers;
	asker->error = error;
	asker->refusal = refusal ? refusal->kind : REFUSAL_NONE;
	if (refusal)
		keep_refusal(asker, refusal);
	if (!lease)
		return;
	asker->lease = lease->id;
	for (size_t i = 0; i < lease->n_devices; i++)
		strcat(strcat(asker->devices, lease->devices[i]->id.address), " ");
}

void asker_request(struct asker *asker, const struct acquire_request *request)
{
	asker->waits = true;
	asker->error = 0;
	asker->refusal = REFUSAL_NONE;
	asker->lease = 0;
	asker->devices[0] = '\0';
	broker_acquire(asker->rig->broker, asker->peer, request, answered, asker);
	rig_settle(asker->rig);
}

void asker_ask(struct asker *asker, const char *devices, unsigned int wait_sec)
{
	_cleanup_free_ char *text = strdup(devices);
	const char *list[OPENER_DEVICES_MAX];
	struct acquire_request request = { .devices = list, .numa_node = -1, .wait_sec = wait_sec };
	char *rest = text;

	for (char *word = strtok_r(rest, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		list[request.n_devices++] = word;
	asker_request(asker, &request);
}

void asker_ask_pool(struct asker *asker, const char *pool, size_t count, unsigned int wait_sec)
{
	const struct acquire_request request = { .pool = pool, .count = count, .numa_node = -1, .wait_sec = wait_sec };

	asker_request(asker, &request);
}

void asker_give_back(struct asker *asker)
{
	if (!broker_release(asker->rig->broker, asker->peer, asker->lease))
		abort();
	asker->lease = 0;
	asker->devices[0] = '\0';
	rig_settle(asker->rig);
}

void asker_go(struct asker *asker)
{
	if (!asker->peer)
		return;
	asker->peer = peer_free(asker->peer);
	asker->waits = false;
	asker->lease = 0;
	rig_settle(asker->rig);
	identity_clear(&asker->identity);
}

void rig_add_device(struct rig *rig, const char *address, int group, const char *numa_node)
{
	fake_sysfs_add_device(rig->sysfs, &(struct fake_device){ .address = address,
								 .vendor = 0x8086,
								 .device = 0x10d3,
								 .class = 0x020000,
								 .group = group,
								 .numa_node = numa_node });
	broker_device_changed(rig->broker, address);
	rig_settle(rig);
}
