/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives a broker that is killed: leases of clients that are still there, claims, who had which device, the numbers of
 * leases; and what does not, and is put back. On the machine of broker-rig.h, with one more: FLR, 0000:04:00.0, on vfio-pci,
 * which can be reset on its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/ledger-file.h"
#include "broker/ledger.h"
#include "broker-cases.h"
#include "fail-alloc.h"
#include "fake-keeper.h"
#include "fake-module.h"
#include "open-fds.h"
#include "util/cleanup.h"
#include "util/fileio.h"
#include "varlink/server.h"

#define FLR "0000:04:00.0"
#define BOTH "1000,1001"
#define ROOM 16384

static const char policy[] = RULE("Address=0000:0*", BOTH, "GroupScope=whole");
static const char parking[] = RULE("Address=0000:0*", BOTH,
				   "GroupScope=whole\nBystanders=park\nMaxLeaseSec=77\n"
				   "OnViolation=log\nReleaseTimeoutSec=9\nLabel=red");

static struct rig rig;
static struct fake_keeper keeper;
static struct fake_module module;
static const char *rules;
static char folder[64];

/* A client with a connection of its own. */
struct client {
	int ours, its; /* the socket's ends */
	struct identity identity;
	struct peer *peer;
};

static struct client connect_as(const struct identity *identity)
{
	struct client client = { .identity = *identity };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	client.ours = pair[0];
	client.its = pair[1];
	return client;
}

static void begin(struct client *client)
{
	client->peer = peer_new(rig.broker, &client->identity, client->ours);
	assert_non_null(client->peer);
}

static void end(struct client *client)
{
	if (client->peer)
		client->peer = peer_free(client->peer);
	rig_settle(&rig);
	client->ours = close_fd(client->ours);
	client->its = close_fd(client->its);
}

static void start(const char *with)
{
	rules = with;
	strcpy(folder, "/tmp/iommud-inherit-XXXXXX");
	assert_non_null(mkdtemp(folder));
	rig_state_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fake_keeper_init(&keeper, FAKE_KEPT_MAX);
	rig_keeper = &keeper.keeper;
	rig_start(&rig, rules);
	fake_sysfs_add_device(rig.sysfs, &(struct fake_device){ .address = FLR,
								.vendor = 0x1b36,
								.device = 0x0010,
								.class = 0x010802,
								.group = 10,
								.driver = "vfio-pci",
								.reset_method = "flr" });
	assert_int_equal(registry_refresh(rig.registry, FLR), 0);
	broker_inherit_end(rig.broker);
}

static void start_with_module(const char *with)
{
	fake_module_start(&module);
	rig_module = &module.ownership;
	start(with);
}

static void stop(void)
{
	bool with = rig_module;
	char command[128];

	rig_settle(&rig);
	assert_int_equal(fake_helper_n_open(&rig.fake), 0);
	fake_keeper_clear(&keeper);
	rig_stop(&rig);
	rig_state_fd = close_fd(rig_state_fd);
	rig_keeper = NULL;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
	if (!with)
		return;
	assert_int_equal(fake_module_n_open(&module), 0);
	fake_module_stop(&module);
}

/* As the session does when a lease goes out, and afterwards. */
static uint64_t grant(struct client *client, const char *devices)
{
	rig_acquire(&rig, client->peer, devices, NULL, NULL);
	if (rig.outcome.refusal == REFUSAL_CONSENT_REQUIRED)
		rig_acquire(&rig, client->peer, devices, NULL, rig.outcome.token);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	assert_int_equal(rig.outcome.n, 1);
	peer_granted(client->peer);
	*peer_get_mark(client->peer) = VARLINK_MARK_IDLE;
	return rig.outcome.lease;
}

static void kill_broker(struct client *clients, size_t n)
{
	rig_kill_broker(&rig, rules);
	rig.events[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		free(clients[i].peer);
		clients[i].peer = NULL;
		clients[i].ours = close_fd(clients[i].ours);
	}
}

static bool is_kept_as(size_t i, const char *prefix)
{
	return strncmp(keeper.kept[i].name, prefix, strlen(prefix)) == 0;
}

/* What the daemon does with what the service manager has kept: claims first. */
static void hand_over_claims(void)
{
	for (size_t i = 0; i < keeper.n; i++) {
		int fd;

		if (!is_kept_as(i, KEPT_CLAIM))
			continue;
		fd = fake_keeper_pass(&keeper, i);
		assert_true(broker_inherit_claim(rig.broker, keeper.kept[i].name, fd));
	}
}

/* Whether it is the other end of the client's: what goes in here comes out there. */
static bool is_of(size_t i, const struct client *client)
{
	char byte = 'x';

	assert_int_equal(write(keeper.kept[i].fd, &byte, 1), 1);
	return recv(client->its, &byte, 1, MSG_DONTWAIT) == 1;
}

/* The client's connection. False: nobody can go on with it. */
static bool hand_over(struct client *client)
{
	struct former_connection former;

	for (size_t i = 0; i < keeper.n && client->ours < 0; i++)
		if (is_kept_as(i, KEPT_CONNECTION) && is_of(i, client))
			client->ours = fake_keeper_pass(&keeper, i);
	if (client->ours < 0)
		return false;
	begin(client);
	return broker_former_connection(rig.broker, client->ours, &former) && former.mark == VARLINK_MARK_IDLE &&
	       peer_inherit(client->peer) == 0;
}

static void finish(void)
{
	broker_inherit_end(rig.broker);
	assert_int_equal(helper_client_connect(rig.helper), 0);
	broker_helper_connected(rig.broker);
	rig_settle(&rig);
}

/* ---- what goes on ---- */

static void a_lease_goes_on_with_all_that_it_is(void **state)
{
	struct client bob = connect_as(&(struct identity){ .uid = 1001, .gid = 1001, .pid = 7, .pidfd = -1 });
	const struct lease *lease;
	uint64_t id, deadline;

	start(parking);
	begin(&bob);
	id = grant(&bob, SLOT_EDU);
	deadline = broker_group_holder(rig.broker, 3)->deadline_usec;
	assert_string_equal(rig_driver(&rig, SLOT_NIC), "pci-stub");
	kill_broker(&bob, 1);
	assert_true(hand_over(&bob));
	finish();
	lease = broker_group_holder(rig.broker, 3);
	assert_non_null(lease);
	assert_int_equal(lease->id, id);
	assert_int_equal(lease->state, LEASE_ACTIVE);
	assert_int_equal(lease->uid, 1001);
	assert_int_equal(lease->pid, 7);
	assert_int_equal(lease->n_devices, 1);
	assert_int_equal(lease->n_parked, 2);
	assert_string_equal(lease->label, "red");
	assert_string_equal(lease->opener->name, "iommufd");
	assert_int_equal(lease->deadline_usec, deadline);
	assert_string_equal(lease->devices[0]->rule, "t.policy:1");
	assert_int_equal(lease->devices[0]->conduct.on_violation, POLICY_VIOLATION_LOG);
	assert_int_equal(lease->devices[0]->conduct.release_timeout_sec, 9);
	assert_int_equal(lease->devices[0]->limits.max_lease_sec, 77);
	assert_string_equal(rig_driver(&rig, SLOT_EDU), "vfio-pci");
	assert_string_equal(rig_driver(&rig, SLOT_NIC), "pci-stub");
	assert_true(rig_saw(&rig, "leaseInherited"));
	assert_true(rig_saw(&rig, "restarted"));
	assert_false(rig_saw(&rig, "leaseRecovered"));
	/* It is as good as any other: it ends, and everything is as before. */
	assert_true(broker_release(rig.broker, bob.peer, id));
	rig_settle(&rig);
	assert_slot_is_back(&rig);
	end(&bob);
	stop();
}

/* Twice, and the numbers go on. */
static void it_goes_on_as_often_as_it_must(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	uint64_t first, second;

	start(policy);
	begin(&alice);
	first = grant(&alice, NIC);
	for (int i = 0; i < 3; i++) {
		kill_broker(&alice, 1);
		assert_true(hand_over(&alice));
		finish();
		*peer_get_mark(alice.peer) = VARLINK_MARK_IDLE;
	}
	second = grant(&alice, EDU);
	assert_true(second > first);
	end(&alice);
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
	stop();
}

static void a_number_is_not_given_twice(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	uint64_t first;

	start(policy);
	begin(&alice);
	first = grant(&alice, NIC);
	assert_true(broker_release(rig.broker, alice.peer, first));
	rig_settle(&rig);
	kill_broker(&alice, 1);
	assert_true(hand_over(&alice));
	finish();
	assert_true(grant(&alice, NIC) > first);
	end(&alice);
	stop();
}

static void claims_go_on(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	const struct lease *lease;

	start_with_module(policy);
	begin(&alice);
	grant(&alice, NIC " " EDU);
	assert_int_equal(fake_module_n_open(&module), 2);
	kill_broker(&alice, 1);
	assert_int_equal(fake_module_n_open(&module), 2);
	hand_over_claims();
	assert_true(hand_over(&alice));
	finish();
	assert_int_equal(fake_module_n_open(&module), 2);
	lease = broker_group_holder(rig.broker, 1);
	assert_true(lease->devices[0]->claim >= 0);
	assert_true(lease->devices[1]->claim >= 0);
	assert_false(rig_saw(&rig, "claimLost"));
	end(&alice);
	stop();
}

static void a_claim_that_was_lost_is_told(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });

	start_with_module(policy);
	begin(&alice);
	grant(&alice, NIC);
	kill_broker(&alice, 1);
	assert_true(hand_over(&alice));
	fake_keeper_clear(&keeper);
	finish();
	assert_true(rig_saw(&rig, "claimLost"));
	assert_non_null(broker_group_holder(rig.broker, 1));
	end(&alice);
	stop();
}

/* ---- what does not ---- */

static void who_went_meanwhile_gets_nothing_and_leaves_nothing(void **state)
{
	struct client clients[] = {
		connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 }),
		connect_as(&(struct identity){ .uid = 1001, .gid = 1001, .pid = 8, .pidfd = -1 }),
	};

	start_with_module(policy);
	begin(&clients[0]);
	begin(&clients[1]);
	grant(&clients[0], NIC);
	grant(&clients[1], EDU);
	kill_broker(clients, 2);
	hand_over_claims();
	assert_true(hand_over(&clients[1]));
	finish();
	assert_null(broker_group_holder(rig.broker, 1));
	assert_non_null(broker_group_holder(rig.broker, 2));
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
	assert_true(rig_saw(&rig, "leaseRecovered"));
	assert_int_equal(fake_module_n_open(&module), 1);
	end(&clients[0]);
	end(&clients[1]);
	stop();
}

static void somebody_else_at_the_connection_gets_nothing(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });

	start(policy);
	for (int i = 0; i < 2; i++) {
		begin(&alice);
		grant(&alice, NIC);
		kill_broker(&alice, 1);
		if (i == 0)
			alice.identity.uid = 1001;
		else
			alice.identity.pid = 9;
		assert_true(hand_over(&alice));
		finish();
		assert_null(broker_group_holder(rig.broker, 1));
		assert_string_equal(rig_driver(&rig, NIC), "e1000e");
		alice.peer = peer_free(alice.peer);
	}
	end(&alice);
	stop();
}

static void what_was_not_sent_was_not_granted(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });

	start(policy);
	begin(&alice);
	grant(&alice, EDU);
	rig_acquire(&rig, alice.peer, NIC, NULL, NULL);
	assert_int_equal(rig.outcome.refusal, REFUSAL_NONE);
	/* peer_granted() is not said: it was killed before. */
	kill_broker(&alice, 1);
	assert_true(hand_over(&alice));
	finish();
	assert_null(broker_group_holder(rig.broker, 1));
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
	assert_non_null(broker_group_holder(rig.broker, 2));
	end(&alice);
	stop();
}

static void a_device_that_is_another_now_ends_its_lease(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });

	start(policy);
	begin(&alice);
	grant(&alice, NIC);
	fake_sysfs_remove_device(rig.sysfs, NIC);
	fake_sysfs_add_device(rig.sysfs, &(struct fake_device){ .address = NIC,
								.vendor = 0x8086,
								.device = 0x10d3,
								.class = 0x020000,
								.group = 1,
								.driver = "vfio-pci" });
	kill_broker(&alice, 1);
	assert_true(hand_over(&alice));
	finish();
	assert_null(broker_group_holder(rig.broker, 1));
	end(&alice);
	stop();
}

static void a_device_that_was_taken_from_vfio_ends_its_lease(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });

	start(policy);
	begin(&alice);
	grant(&alice, NIC);
	fake_sysfs_set_driver(rig.sysfs, NIC, "e1000e");
	kill_broker(&alice, 1);
	assert_true(hand_over(&alice));
	finish();
	assert_null(broker_group_holder(rig.broker, 1));
	end(&alice);
	stop();
}

static void a_lease_that_was_on_its_way_back_does_not_return(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	uint64_t id;

	start(policy);
	begin(&alice);
	id = grant(&alice, NIC);
	rig.fake.hold = true;
	assert_true(broker_release(rig.broker, alice.peer, id));
	rig_settle(&rig);
	rig.fake.hold = false;
	rig.fake.n_held = 0;
	kill_broker(&alice, 1);
	assert_true(hand_over(&alice));
	finish();
	assert_null(broker_group_holder(rig.broker, 1));
	assert_string_equal(rig_driver(&rig, NIC), "e1000e");
	end(&alice);
	stop();
}

/* ---- who had what ---- */

static bool was_reset(void)
{
	return strstr(rig.fake.trace, "reset(" FLR);
}

static void who_had_a_device_is_remembered(void **state)
{
	struct client clients[] = {
		connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 }),
		connect_as(&(struct identity){ .uid = 1001, .gid = 1001, .pid = 8, .pidfd = -1 }),
	};

	start(policy);
	begin(&clients[0]);
	assert_true(broker_release(rig.broker, clients[0].peer, grant(&clients[0], FLR)));
	rig_settle(&rig);
	assert_true(was_reset()); /* nobody knew who had it */
	kill_broker(clients, 1);
	assert_true(hand_over(&clients[0]));
	finish();
	rig.fake.trace[0] = '\0';
	assert_true(broker_release(rig.broker, clients[0].peer, grant(&clients[0], FLR)));
	rig_settle(&rig);
	assert_false(was_reset());
	begin(&clients[1]);
	grant(&clients[1], FLR);
	assert_true(was_reset());
	/* Killed with the lease: then that one has had it. */
	kill_broker(clients, 2);
	rig.fake.trace[0] = '\0';
	fake_keeper_clear(&keeper);
	finish();
	clients[0] = connect_as(&clients[0].identity);
	begin(&clients[0]);
	grant(&clients[0], FLR);
	assert_true(was_reset());
	end(&clients[0]);
	end(&clients[1]);
	stop();
}

static void a_quarantine_goes_on(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });

	start(policy);
	begin(&alice);
	rig.fake.reset_error = EIO;
	rig_acquire(&rig, alice.peer, FLR, NULL, NULL);
	assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_true(broker_is_quarantined(rig.broker, registry_find_device(rig.registry, FLR)));
	kill_broker(&alice, 1);
	finish();
	assert_true(broker_is_quarantined(rig.broker, registry_find_device(rig.registry, FLR)));
	rig.fake.reset_error = 0;
	end(&alice);
	stop();
}

/* ---- what is damaged, full or out ---- */

static void damage(size_t offset_from_end)
{
	char path[128], byte;
	int fd;

	snprintf(path, sizeof(path), "%s/" LEDGER_FILE, folder);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(lseek(fd, -(off_t)offset_from_end, SEEK_END) >= 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	byte ^= 1;
	assert_true(lseek(fd, -1, SEEK_CUR) >= 0);
	assert_int_equal(write(fd, &byte, 1), 1);
	close(fd);
}

static void a_damaged_line_costs_its_lease_and_no_device(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	char path[128];

	start(policy);
	begin(&alice);
	grant(&alice, NIC);
	grant(&alice, EDU);
	damage(20);
	kill_broker(&alice, 1);
	assert_true(hand_over(&alice));
	finish();
	assert_non_null(broker_group_holder(rig.broker, 1));
	assert_null(broker_group_holder(rig.broker, 2));
	assert_string_equal(rig_driver(&rig, NIC), "vfio-pci");
	assert_string_equal(rig_driver(&rig, EDU), "");
	snprintf(path, sizeof(path), "%s/" LEDGER_FILE ".damaged-1", folder);
	assert_int_equal(access(path, F_OK), 0);
	end(&alice);
	stop();
}

static void what_a_killed_writer_left_is_cut_off(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	char path[128];
	struct stat st;

	start(policy);
	begin(&alice);
	grant(&alice, NIC);
	grant(&alice, EDU);
	snprintf(path, sizeof(path), "%s/" LEDGER_FILE, folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 3), 0);
	kill_broker(&alice, 1);
	assert_true(hand_over(&alice));
	finish();
	assert_non_null(broker_group_holder(rig.broker, 1));
	assert_null(broker_group_holder(rig.broker, 2));
	assert_string_equal(rig_driver(&rig, EDU), "");
	end(&alice);
	stop();
}

/* A file of nothing but noise, of a later version, or of records that say what can't be. */
static void no_file_is_too_bad_to_start_with(void **state)
{
	static const char *const texts[] = {
		"", "\n\n\n", "noise\n", "0123456789abcdef {}\n", "{\"type\":\"lease\"}\n",
	};
	static const char *const records[] = {
		"{\"type\":\"begin\",\"version\":2,\"lastLease\":4}",
		"{\"type\":\"begin\",\"version\":1,\"lastLease\":-4}",
		"{\"type\":\"end\"}",
		"{\"type\":\"end\",\"lease\":1,\"extra\":1}",
		"{\"type\":\"lease\",\"lease\":1,\"connection\":5,\"uid\":1000,\"pid\":7,\"backend\":\"iommufd\",\"devices\":1,"
		"\"parked\":0}",
		"{\"type\":\"lease\",\"lease\":1,\"connection\":5,\"uid\":1000,\"pid\":7,\"backend\":\"none\",\"devices\":0,"
		"\"parked\":0}",
		"{\"type\":\"past\",\"address\":\"../x\",\"vendor\":1,\"device\":1,\"subsystemVendor\":1,\"subsystemDevice\":1,"
		"\"class\":1,\"node\":1}",
		"{\"type\":\"what\"}",
		"[]",
	};
	char path[128];

	start(policy);
	snprintf(path, sizeof(path), "%s/" LEDGER_FILE, folder);
	for (size_t i = 0; i < ARRAY_SIZE(texts) + ARRAY_SIZE(records); i++) {
		struct ledger_lines lines = { 0 };
		FILE *file = fopen(path, "we");

		assert_non_null(file);
		if (i < ARRAY_SIZE(texts)) {
			fputs(texts[i], file);
		} else {
			const char *record = records[i - ARRAY_SIZE(texts)];

			ledger_lines_add(&lines, record, strlen(record));
			fwrite(lines.text, 1, lines.size, file);
			ledger_lines_clear(&lines);
		}
		fclose(file);
		kill_broker(NULL, 0);
		finish();
		/* Whatever it was, but for nothing at all, it is kept for people, and told. */
		assert_int_equal(rig_saw(&rig, "restarted"), i > 0);
		assert_true(list_is_empty(broker_leases(rig.broker)));
	}
	stop();
}

static void without_room_for_it_nothing_is_granted(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	struct rlimit former, none;
	char path[128];
	struct stat st;

	start_with_module(policy);
	begin(&alice);
	snprintf(path, sizeof(path), "%s/" LEDGER_FILE, folder);
	/* Larger than any file of the stand-in for sysfs, which is written as well. */
	for (st.st_size = 0; st.st_size < ROOM; assert_int_equal(stat(path, &st), 0)) {
		assert_true(broker_release(rig.broker, alice.peer, grant(&alice, EDU)));
		rig_settle(&rig);
	}
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &former), 0);
	none = (struct rlimit){ .rlim_cur = ROOM, .rlim_max = former.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	rig_acquire(&rig, alice.peer, EDU, NULL, NULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &former), 0);
	assert_int_equal(rig.outcome.refusal, REFUSAL_PREPARE_FAILED);
	assert_string_equal(rig.outcome.word, "ledger");
	assert_non_null(strstr(rig.outcome.message, "File too large"));
	assert_string_equal(rig_driver(&rig, EDU), "");
	assert_int_equal(fake_module_n_open(&module), 0);
	/* Later there is some. */
	grant(&alice, EDU);
	kill_broker(&alice, 1);
	hand_over_claims();
	assert_true(hand_over(&alice));
	finish();
	assert_non_null(broker_group_holder(rig.broker, 2));
	end(&alice);
	stop();
}

static void where_no_more_is_kept_nothing_is_granted(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });

	start_with_module(policy);
	begin(&alice);
	for (unsigned int limit = 0; limit < 3; limit++) {
		keeper.keeper.limit = limit;
		rig_acquire(&rig, alice.peer, NIC " " EDU, NULL, NULL);
		assert_int_equal(rig.outcome.refusal, REFUSAL_QUOTA);
		assert_string_equal(rig.outcome.word, "keptDescriptors");
		assert_string_equal(rig_driver(&rig, NIC), "e1000e");
		assert_int_equal(fake_module_n_open(&module), 0);
		/* Claims are dropped again; the connection may stay. */
		assert_true(keeper.n <= 1);
	}
	keeper.keeper.limit = 3;
	grant(&alice, NIC " " EDU);
	assert_int_equal(keeper.n, 3);
	end(&alice);
	assert_int_equal(keeper.n, 0);
	stop();
}

static void the_file_does_not_grow_with_leases_that_are_over(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	char path[128];
	struct stat st;
	off_t most = 0;

	start(policy);
	begin(&alice);
	snprintf(path, sizeof(path), "%s/" LEDGER_FILE, folder);
	for (int i = 0; i < 2000; i++) {
		assert_true(broker_release(rig.broker, alice.peer, grant(&alice, EDU)));
		rig_settle(&rig);
		rig.fake.n_transactions = 0;
		rig.fake.trace[0] = rig.events[0] = '\0';
		assert_int_equal(stat(path, &st), 0);
		most = st.st_size > most ? st.st_size : most;
	}
	assert_true(most < 512 * 1024);
	end(&alice);
	stop();
}

/* Each allocation of the start fails once: then there is no broker, or one with all of it, or the lease ended. */
static void memory_that_is_out_at_the_start_loses_no_device(void **state)
{
	struct client alice = connect_as(&(struct identity){ .uid = 1000, .gid = 1000, .pid = 7, .pidfd = -1 });
	bool failed = true;

	start(parking);
	for (unsigned int n = 1; failed; n++) {
		begin(&alice);
		grant(&alice, SLOT_EDU);
		kill_broker(&alice, 1);
		assert_true(hand_over(&alice));
		fail_alloc_begin(n);
		broker_inherit_end(rig.broker);
		failed = fail_alloc_end();
		assert_int_equal(helper_client_connect(rig.helper), 0);
		broker_helper_connected(rig.broker);
		rig_settle(&rig);
		alice.peer = peer_free(alice.peer);
		rig_settle(&rig);
		assert_slot_is_back(&rig);
		rig.fake.n_transactions = 0;
		rig.fake.trace[0] = rig.events[0] = '\0';
	}
	end(&alice);
	stop();
}

static void two_brokers_do_not_share_a_folder(void **state)
{
	struct ledger *other;

	start(policy);
	/* Of this process the lock is ours anyway: asked by another one. */
	if (fork() == 0)
		_exit(ledger_open(rig_state_fd, &other) == -EBUSY ? 0 : 1);
	else {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lease_goes_on_with_all_that_it_is),
		cmocka_unit_test(it_goes_on_as_often_as_it_must),
		cmocka_unit_test(a_number_is_not_given_twice),
		cmocka_unit_test(claims_go_on),
		cmocka_unit_test(a_claim_that_was_lost_is_told),
		cmocka_unit_test(who_went_meanwhile_gets_nothing_and_leaves_nothing),
		cmocka_unit_test(somebody_else_at_the_connection_gets_nothing),
		cmocka_unit_test(what_was_not_sent_was_not_granted),
		cmocka_unit_test(a_device_that_is_another_now_ends_its_lease),
		cmocka_unit_test(a_device_that_was_taken_from_vfio_ends_its_lease),
		cmocka_unit_test(a_lease_that_was_on_its_way_back_does_not_return),
		cmocka_unit_test(who_had_a_device_is_remembered),
		cmocka_unit_test(a_quarantine_goes_on),
		cmocka_unit_test(a_damaged_line_costs_its_lease_and_no_device),
		cmocka_unit_test(what_a_killed_writer_left_is_cut_off),
		cmocka_unit_test(no_file_is_too_bad_to_start_with),
		cmocka_unit_test(without_room_for_it_nothing_is_granted),
		cmocka_unit_test(where_no_more_is_kept_nothing_is_granted),
		cmocka_unit_test(the_file_does_not_grow_with_leases_that_are_over),
		cmocka_unit_test(memory_that_is_out_at_the_start_loses_no_device),
		cmocka_unit_test(two_brokers_do_not_share_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
