/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker-cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char policy_text[] = RULE("Address=0000:01:00.0\nDriver=e1000e", "1000", "")
	RULE("Address=0000:02:00.0", "1000,1001", "Backend=iommufd")
		RULE("Address=0000:03:00.*", "1000", "GroupScope=whole\nLabel=red")
			RULE("Address=0000:03:00.*", "1001", "GroupScope=whole\nLabel=blue")
				RULE("Address=0000:00:1c.0", "1000",
				     "") "[Match]\nAddress=0000:01:*\n[Client]\nUser=1001\n[Grant]\nAction=deny\n";

int broker_case_setup(void **state)
{
	static struct rig rig;

	rig_start(&rig, policy_text);
	*state = &rig;
	return 0;
}

int broker_case_teardown(void **state)
{
	rig_stop(*state);
	return 0;
}

struct peer *peer_of(struct rig *rig, struct identity *identity)
{
	struct peer *peer = peer_new(rig->broker, identity, 2);

	assert_non_null(peer);
	return peer;
}

void free_slot(struct rig *rig)
{
	fake_sysfs_set_driver(rig->sysfs, SLOT_NIC, NULL);
	fake_sysfs_set_driver(rig->sysfs, SLOT_NVME, NULL);
}

void refuses(struct rig *rig, struct identity *who, const char *devices, const char *consent, enum refusal_kind kind,
	     const char *said)
{
	struct peer *peer = peer_of(rig, who);

	rig_acquire(rig, peer, devices, NULL, consent);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.refusal, kind);
	if (!strstr(rig->outcome.message, said))
		fail_msg("'%s' is not in: %s", said, rig->outcome.message);
	assert_int_equal(rig->fake.n_requests[HELPER_PREPARE], 0);
	peer_free(peer);
}

struct peer *bob_who_parks(struct rig *rig, const char *policy)
{
	char refused[256];

	assert_int_equal(broker_set_policy(rig->broker, rig_policy(policy), refused, sizeof(refused)), 0);
	memcpy(rig->fake.digest, policy_digest(broker_get_policy(rig->broker)), DIGEST_SIZE);
	return peer_of(rig, &rig->bob);
}

void take_with_consent(struct rig *rig, struct peer *peer, const char *devices)
{
	char token[DIGEST_HEX_SIZE];

	rig_acquire(rig, peer, devices, NULL, NULL);
	assert_int_equal(rig->outcome.refusal, REFUSAL_CONSENT_REQUIRED);
	memcpy(token, rig->outcome.token, sizeof(token));
	rig_acquire(rig, peer, devices, NULL, token);
}

void assert_slot_is_back(struct rig *rig)
{
	assert_string_equal(rig_driver(rig, SLOT_NIC), "e1000");
	assert_string_equal(rig_driver(rig, SLOT_NVME), "nvme");
	assert_string_equal(rig_driver(rig, SLOT_EDU), "");
	assert_int_equal(fake_helper_n_open(&rig->fake), 0);
	assert_true(list_is_empty(broker_leases(rig->broker)));
}
