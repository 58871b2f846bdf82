/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drift: the nodes of a lease with a label get other security contexts than they were leased with. Plain files stand for
 * nodes, and their content for the context; that it changed is told by a chmod().
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker-rig.h"
#include "fail-alloc.h"
#include "fake-sysfs.h"
#include "util/cleanup.h"

#define OWN "vfio/devices/vfio0"
#define GROUP "vfio/1"
#define RULE(grant) \
	"[Match]\nAddress=" NIC " " EDU "\n[Client]\nUser=1001\n[Grant]\nAction=allow\nBackend=iommufd\n" grant "\n"
#define REPORT RULE("Label=red\nOnViolation=log")

static char dev[64];
static unsigned int n_reads;

static int read_content(int fd, char *ret, size_t size)
{
	char path[32];
	_cleanup_fd_ int readable = -1;
	ssize_t n;

	n_reads++;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	n = read(readable, ret, size - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return 0;
}

__attribute__((format(printf, 2, 3))) static void run(const char *folder, const char *format, ...)
{
	char command[512];
	size_t used = snprintf(command, sizeof(command), "cd %s && ", folder);
	va_list args;

	va_start(args, format);
	vsnprintf(command + used, sizeof(command) - used, format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

/* As the kernel tells it: that something changed. */
static void label_node(struct rig *rig, const char *node, const char *context)
{
	run(dev, "printf %s >%s && chmod 600 %s", context, node, node);
	rig_settle(rig);
}

static void start(struct rig *rig, const char *policy)
{
	rig_start(rig, policy);
	run(fake_sysfs_path(rig->sysfs),
	    "mkdir -p class/vfio/1 bus/pci/devices/" NIC "/vfio-dev/vfio0 && echo 0:0 >class/vfio/1/dev && "
	    "echo 0:0 >bus/pci/devices/" NIC "/vfio-dev/vfio0/dev");
	n_reads = 0;
}

static int set_up(void **state)
{
	static struct rig rig;

	strcpy(dev, "/tmp/iommud-dev-XXXXXX");
	if (!mkdtemp(dev))
		return -1;
	run(dev, "mkdir -p vfio/devices && printf red >" OWN " && printf red >" GROUP);
	rig_dev = dev;
	rig_node_context = read_content;
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	rig_stop(*state);
	run(dev, "rm -rf %s", dev);
	return 0;
}

static struct peer *lease(struct rig *rig, const char *policy)
{
	struct peer *bob;

	start(rig, policy);
	bob = peer_new(rig->broker, &rig->bob, -1);
	rig_acquire(rig, bob, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.error, 0);
	assert_int_equal(rig->outcome.n_devices, 1);
	return bob;
}

static void drift_is_a_violation_until_it_is_put_right(void **state)
{
	static const char *const nodes[] = { OWN, GROUP };
	struct rig *rig = *state;
	struct peer *bob = lease(rig, REPORT);

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		rig->events[0] = '\0';
		label_node(rig, nodes[i], "blue");
		assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
		assert_true(rig_saw(rig, "violation"));
		label_node(rig, nodes[i], "red");
		assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
		assert_true(rig_saw(rig, "violationEnded"));
	}
	peer_free(bob);
}

static void it_says_which_node_had_what(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = lease(rig, REPORT);

	label_node(rig, GROUP, "blue");
	assert_non_null(strstr(rig->last_event, "/dev/" GROUP));
	assert_non_null(strstr(rig->last_event, "blue"));
	assert_non_null(strstr(rig->last_event, "red"));
	peer_free(bob);
}

/* The kernel tells it before the LSM answers with the new context. */
static void there_is_a_second_look(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = lease(rig, REPORT);
	uint64_t due;

	label_node(rig, OWN, "red");
	run(dev, "printf blue >" OWN);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	due = broker_next_deadline(rig->broker);
	assert_int_not_equal(due, UINT64_MAX);
	broker_expire(rig->broker, due);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_VIOLATED);
	assert_true(broker_next_deadline(rig->broker) > due);
	peer_free(bob);
}

static void revoke_takes_it_back(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = lease(rig, RULE("Label=red\nOnViolation=revoke"));

	label_node(rig, OWN, "blue");
	assert_true(rig_saw(rig, "releaseRequested"));
	peer_free(bob);
}

static void without_a_label_nobody_looks(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = lease(rig, RULE("OnViolation=log"));

	label_node(rig, OWN, "blue");
	assert_int_equal(n_reads, 0);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	peer_free(bob);
}

static void a_lease_that_is_over_is_not_looked_at(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = lease(rig, REPORT);

	peer_free(bob);
	rig_settle(rig);
	n_reads = 0;
	label_node(rig, OWN, "blue");
	assert_int_equal(n_reads, 0);
	assert_false(rig_saw(rig, "violation"));
}

/* What comes to the name of a node is another device's. */
static void a_node_that_is_another_one_by_now_has_not_drifted(void **state)
{
	struct rig *rig = *state;
	struct peer *bob = lease(rig, REPORT);

	run(dev, "printf blue >new && mv new " OWN);
	rig_settle(rig);
	assert_int_equal(rig_state(rig, rig->outcome.lease), LEASE_ACTIVE);
	peer_free(bob);
}

static void nodes_that_cannot_be_read_are_not_handed_out(void **state)
{
	struct rig *rig = *state;
	struct peer *bob;

	start(rig, REPORT);
	run(dev, "rm " GROUP);
	bob = peer_new(rig->broker, &rig->bob, -1);
	rig_acquire(rig, bob, NIC, NULL, NULL);
	assert_int_equal(rig->outcome.n, 1);
	assert_int_equal(rig->outcome.n_devices, 0);
	assert_string_equal(rig_driver(rig, NIC), "e1000e");
	peer_free(bob);
}

static unsigned int failing;

static void fail_from_here(struct rig *rig)
{
	fail_alloc_begin(failing);
}

/* From the open to the grant. */
static void no_memory_is_a_fault_and_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	struct peer *bob;
	bool failed = true;

	start(rig, REPORT);
	bob = peer_new(rig->broker, &rig->bob, -1);
	rig_while_opening = fail_from_here;
	for (failing = 1; failed; failing++) {
		rig_acquire(rig, bob, NIC, NULL, NULL);
		failed = fail_alloc_end();
		assert_int_equal(rig->outcome.n, 1);
		if (rig->outcome.n_devices)
			broker_release(rig->broker, bob, rig->outcome.lease);
		rig_settle(rig);
		/* What could not be sent for want of memory is sent later. */
		if (!list_is_empty(broker_leases(rig->broker)))
			broker_expire(rig->broker, broker_next_deadline(rig->broker));
		rig_settle(rig);
		assert_true(list_is_empty(broker_leases(rig->broker)));
		assert_string_equal(rig_driver(rig, NIC), "e1000e");
	}
	assert_true(failing > 2);
	peer_free(bob);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest cases[] = {
		CASE(drift_is_a_violation_until_it_is_put_right),
		CASE(it_says_which_node_had_what),
		CASE(there_is_a_second_look),
		CASE(revoke_takes_it_back),
		CASE(without_a_label_nobody_looks),
		CASE(a_lease_that_is_over_is_not_looked_at),
		CASE(a_node_that_is_another_one_by_now_has_not_drifted),
		CASE(nodes_that_cannot_be_read_are_not_handed_out),
		CASE(no_memory_is_a_fault_and_leaves_nothing),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
