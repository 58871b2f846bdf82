/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acquire and Release by the client library: which descriptor is whose, and that a wrong answer leaves none open. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "fake-server.h"
#include "libiommud.h"
#include "open-fds.h"
#include "util/cleanup.h"

#define ACQUIRE "call io.iommud.Acquire\n"
#define DEVICE(fields) "{\"address\":\"0000:00:04.0\",\"group\":7," fields "}"
#define IOMMUFD(fields) "{\"lease\":3,\"backend\":\"iommufd\"," fields "}\n"
#define LEGACY(fields) "{\"lease\":3,\"backend\":\"legacy\"," fields "}\n"

static const char *const one_device[] = { "0000:00:04.0" };
static const char *const two_devices[] = { "0000:00:04.0", "0000:00:04.1" };

struct fixture {
	struct fake_server server;
	struct iommud *connection;
	size_t fds_before;
};

static void begin(struct fixture *f, const char *script)
{
	f->fds_before = count_open_fds();
	fake_server_start(&f->server, script);
	assert_int_equal(iommud_open(f->server.path, &f->connection), 0);
}

static void end(struct fixture *f)
{
	f->connection = iommud_close(f->connection);
	fake_server_stop(&f->server);
	assert_int_equal(count_open_fds(), f->fds_before);
}

static int acquire(struct fixture *f, const char *const *devices, size_t n, struct iommud_lease **ret)
{
	const struct iommud_request request = { .size = sizeof(request), .devices = devices, .n_devices = n };

	return iommud_acquire(f->connection, &request, ret);
}

/* The server's files hold the index that they had in its message. */
static void assert_file(int fd, const char *expected)
{
	char text[16] = "";

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, expected);
}

static void iommufd_brings_iommu_and_devices(void **state)
{
	struct iommud_lease *lease = NULL;
	struct fixture f;

	/* The indexes are not in the order of the fields. */
	begin(&f, ACQUIRE "fds 3\nreply " IOMMUFD(
			  "\"label\":\"blue\",\"iommuFileDescriptor\":2,\"containerFileDescriptor\":null,\"devices\":["
			  "{\"address\":\"0000:00:04.0\",\"group\":7,\"deviceFileDescriptor\":1,\"vfToken\":\"f81d\"},"
			  "{\"address\":\"0000:00:04.1\",\"group\":8,\"deviceFileDescriptor\":0,"
			  "\"groupFileDescriptor\":null,\"vfToken\":null}]"));
	assert_int_equal(acquire(&f, two_devices, 2, &lease), 0);
	assert_int_equal(iommud_lease_id(lease), 3);
	assert_string_equal(iommud_lease_backend(lease), "iommufd");
	assert_string_equal(iommud_lease_label(lease), "blue");
	assert_int_equal(iommud_lease_n_devices(lease), 2);
	assert_string_equal(iommud_lease_device_address(lease, 0), "0000:00:04.0");
	assert_string_equal(iommud_lease_device_address(lease, 1), "0000:00:04.1");
	assert_int_equal(iommud_lease_device_group(lease, 0), 7);
	assert_int_equal(iommud_lease_device_group(lease, 1), 8);
	assert_string_equal(iommud_lease_device_vf_token(lease, 0), "f81d");
	assert_null(iommud_lease_device_vf_token(lease, 1));
	assert_null(iommud_lease_device_vf_token(lease, 2));
	assert_file(iommud_lease_iommu_fd(lease), "2");
	assert_file(iommud_lease_device_fd(lease, 0), "1");
	assert_file(iommud_lease_device_fd(lease, 1), "0");
	assert_int_equal(iommud_lease_container_fd(lease), -1);
	assert_int_equal(iommud_lease_group_fd(lease, 0), -1);
	lease = iommud_lease_free(lease);
	assert_null(lease);
	end(&f);
}

static void legacy_brings_container_groups_and_devices(void **state)
{
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f, ACQUIRE "fds 5\nreply " LEGACY(
			  "\"containerFileDescriptor\":0,\"devices\":["
			  "{\"address\":\"a\",\"group\":7,\"groupFileDescriptor\":1,\"deviceFileDescriptor\":2},"
			  "{\"address\":\"b\",\"group\":7,\"groupFileDescriptor\":3,\"deviceFileDescriptor\":4}]"));
	assert_int_equal(acquire(&f, two_devices, 2, &lease), 0);
	assert_file(iommud_lease_container_fd(lease), "0");
	assert_file(iommud_lease_group_fd(lease, 0), "1");
	assert_file(iommud_lease_device_fd(lease, 0), "2");
	assert_file(iommud_lease_group_fd(lease, 1), "3");
	assert_file(iommud_lease_device_fd(lease, 1), "4");
	assert_int_equal(iommud_lease_iommu_fd(lease), -1);
	assert_null(iommud_lease_label(lease));
	iommud_lease_free(lease);
	end(&f);
}

static void beyond_the_last_device_there_is_nothing(void **state)
{
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f, ACQUIRE "fds 2\nreply " IOMMUFD(
			  "\"iommuFileDescriptor\":0,\"devices\":[" DEVICE("\"deviceFileDescriptor\":1") "]"));
	assert_int_equal(acquire(&f, one_device, 1, &lease), 0);
	assert_null(iommud_lease_device_address(lease, 1));
	assert_int_equal(iommud_lease_device_group(lease, 1), UINT32_MAX);
	assert_int_equal(iommud_lease_device_fd(lease, 1), -1);
	assert_int_equal(iommud_lease_group_fd(lease, SIZE_MAX), -1);
	assert_int_equal(iommud_lease_take_device_fd(lease, 1), -1);
	assert_int_equal(iommud_lease_take_group_fd(lease, 1), -1);
	iommud_lease_free(lease);
	end(&f);
}

static void what_is_taken_outlives_the_lease(void **state)
{
	struct iommud_lease *lease = NULL;
	struct fixture f;
	int iommu, device;

	begin(&f, ACQUIRE "fds 2\nreply " IOMMUFD(
			  "\"iommuFileDescriptor\":0,\"devices\":[" DEVICE("\"deviceFileDescriptor\":1") "]"));
	assert_int_equal(acquire(&f, one_device, 1, &lease), 0);
	iommu = iommud_lease_take_iommu_fd(lease);
	device = iommud_lease_take_device_fd(lease, 0);
	assert_int_equal(iommud_lease_iommu_fd(lease), -1);
	assert_int_equal(iommud_lease_take_iommu_fd(lease), -1);
	assert_int_equal(iommud_lease_take_container_fd(lease), -1);
	assert_int_equal(iommud_lease_device_fd(lease, 0), -1);
	iommud_lease_free(lease);
	assert_file(iommu, "0");
	assert_file(device, "1");
	close(iommu);
	close(device);
	end(&f);
}

static void a_lease_needs_no_connection(void **state)
{
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f, ACQUIRE "fds 2\nreply " IOMMUFD(
			  "\"iommuFileDescriptor\":0,\"devices\":[" DEVICE("\"deviceFileDescriptor\":1") "]"));
	assert_int_equal(acquire(&f, one_device, 1, &lease), 0);
	f.connection = iommud_close(f.connection);
	assert_file(iommud_lease_device_fd(lease, 0), "1");
	iommud_lease_free(lease);
	end(&f);
}

static void descriptors_may_come_with_any_part_of_the_message(void **state)
{
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f, ACQUIRE
	      "raw {\"parameters\":{\"lease\":3,\nfds 1\nraw \"backend\":\"iommufd\",\n"
	      "fds 1\nraw \"iommuFileDescriptor\":0,\"devices\":[" DEVICE("\"deviceFileDescriptor\":1") "]}}\\0\n");
	assert_int_equal(acquire(&f, one_device, 1, &lease), 0);
	/* Each came as the first of its own part: they are distinct files with the same text. */
	assert_file(iommud_lease_iommu_fd(lease), "0");
	assert_file(iommud_lease_device_fd(lease, 0), "0");
	iommud_lease_free(lease);
	end(&f);
}

static void the_request_is_sent_as_the_interface_says(void **state)
{
	struct iommud_request request = { .size = sizeof(request), .devices = two_devices, .n_devices = 2 };
	struct iommud_lease *lease = NULL;
	struct fixture f;
	char line[512];

	begin(&f, ACQUIRE "error io.iommud.DeniedByPolicy {\"message\":\"no rule fits\"}\n");
	assert_int_equal(iommud_acquire(f.connection, &request, &lease), IOMMUD_REFUSED);
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_DENIED);
	assert_null(lease);
	fake_server_read_log(&f.server, line, sizeof(line));
	assert_string_equal(line, "call {\"method\":\"io.iommud.Acquire\",\"parameters\":"
				  "{\"devices\":[\"0000:00:04.0\",\"0000:00:04.1\"]}}");
	request.backend = "legacy";
	request.consent = "t\"0";
	assert_int_equal(iommud_acquire(f.connection, &request, &lease), IOMMUD_REFUSED);
	fake_server_read_log(&f.server, line, sizeof(line));
	assert_string_equal(line, "call {\"method\":\"io.iommud.Acquire\",\"parameters\":"
				  "{\"devices\":[\"0000:00:04.0\",\"0000:00:04.1\"],\"backend\":\"legacy\","
				  "\"consent\":\"t\\\"0\"}}");
	end(&f);
}

static void a_request_is_checked_before_it_is_sent(void **state)
{
	const char *const hole[] = { "a", NULL };
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f, ACQUIRE "error io.iommud.NoSuchDevice {}\n");
	assert_int_equal(acquire(&f, one_device, 0, &lease), -EINVAL);
	assert_int_equal(acquire(&f, NULL, 1, &lease), -EINVAL);
	assert_int_equal(acquire(&f, hole, 2, &lease), -EINVAL);
	assert_int_equal(iommud_acquire(f.connection, NULL, &lease), -EINVAL);
	assert_int_equal(acquire(&f, one_device, 1, &lease), IOMMUD_REFUSED);
	end(&f);
}

static void asks_for_devices_of_a_pool(void **state)
{
	const int node = 0;
	struct iommud_request request = {
		.size = sizeof(request), .pool = "nets", .count = 2, .numa_node = &node, .wait_sec = 60
	};
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f,
	      "call io.iommud.Acquire \"parameters\":{\"pool\":\"nets\",\"count\":2,\"numaNode\":0,\"waitSec\":60}\n"
	      "error io.iommud.PoolExhausted {}\n"
	      "call io.iommud.Acquire \"parameters\":{\"pool\":\"nets\"}\n"
	      "error io.iommud.NoSuchPool {}\n");
	assert_int_equal(iommud_acquire(f.connection, &request, &lease), IOMMUD_REFUSED);
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_POOL_EXHAUSTED);
	request = (struct iommud_request){ .size = sizeof(request), .pool = "nets" };
	assert_int_equal(iommud_acquire(f.connection, &request, &lease), IOMMUD_REFUSED);
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_NO_SUCH_POOL);
	end(&f);
}

/* The daemon would say the same; but to send it were to ask for something else than was meant. */
static void a_pool_and_devices_exclude_each_other(void **state)
{
	const int node = 0;
	const struct iommud_request wrong[] = {
		{ .size = sizeof(wrong[0]), .pool = "nets", .devices = one_device, .n_devices = 1 },
		{ .size = sizeof(wrong[0]), .count = 1, .devices = one_device, .n_devices = 1 },
		{ .size = sizeof(wrong[0]), .numa_node = &node, .devices = one_device, .n_devices = 1 },
		{ .size = sizeof(wrong[0]), .wait_sec = 1 },
	};
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f, "");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(iommud_acquire(f.connection, &wrong[i], &lease), -EINVAL);
	end(&f);
}

static void requests_of_other_versions_are_understood(void **state)
{
	struct {
		struct iommud_request request;
		void *newer;
	} big = { .request = { .size = sizeof(big), .devices = one_device, .n_devices = 1 } };
	struct iommud_lease *lease = NULL;
	struct fixture f;

	begin(&f, ACQUIRE "error io.iommud.NoSuchDevice {}\n");
	assert_int_equal(iommud_acquire(f.connection, &big.request, &lease), IOMMUD_REFUSED);
	big.newer = &big;
	assert_int_equal(iommud_acquire(f.connection, &big.request, &lease), -E2BIG);
	big.request.size = sizeof(big.request) - 1;
	assert_int_equal(iommud_acquire(f.connection, &big.request, &lease), -EINVAL);
	big.request.size = 0;
	assert_int_equal(iommud_acquire(f.connection, &big.request, &lease), -EINVAL);
	end(&f);
}

/* Acquire of one device, answered by `answer`, is `error`; nothing stays open, and the connection is broken. */
static void assert_fault(const char *answer, int error)
{
	struct iommud_lease *lease = NULL;
	char script[1024];
	struct fixture f;

	snprintf(script, sizeof(script), ACQUIRE "%s", answer);
	begin(&f, script);
	assert_int_equal(acquire(&f, one_device, 1, &lease), error);
	assert_null(lease);
	assert_int_equal(count_open_fds(), f.fds_before + 2); /* the connection and the log */
	assert_int_equal(acquire(&f, one_device, 1, &lease), -ENOTCONN);
	end(&f);
}

static void wrong_answers_are_faults_and_leave_nothing_open(void **state)
{
#define GOOD_DEVICES "\"devices\":[" DEVICE("\"deviceFileDescriptor\":1") "]"
	static const char *const wrong[] = {
		"reply {}",
		"fds 2\nreply {}",
		"fds 2\nraw garbage\\0",
		/* too few, too many */
		"reply " IOMMUFD("\"iommuFileDescriptor\":0," GOOD_DEVICES),
		"fds 1\nreply " IOMMUFD("\"iommuFileDescriptor\":0," GOOD_DEVICES),
		"fds 3\nreply " IOMMUFD("\"iommuFileDescriptor\":0," GOOD_DEVICES),
		"fds 253\nreply " IOMMUFD("\"iommuFileDescriptor\":0," GOOD_DEVICES),
		/* indexes */
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":2," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":1," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":-1," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":4294967296," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":99999999999999999999," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":\"0\"," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":0.0," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":null," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD(GOOD_DEVICES),
		/* what the backend has not */
		"fds 3\nreply " IOMMUFD("\"iommuFileDescriptor\":0,\"containerFileDescriptor\":2," GOOD_DEVICES),
		"fds 2\nreply " LEGACY("\"containerFileDescriptor\":0," GOOD_DEVICES),
		"fds 2\nreply " LEGACY("\"iommuFileDescriptor\":0," GOOD_DEVICES),
		/* devices */
		"fds 1\nreply " IOMMUFD("\"iommuFileDescriptor\":0,\"devices\":[]"),
		"fds 1\nreply " IOMMUFD("\"iommuFileDescriptor\":0"),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":0,\"devices\":[1]"),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":0,\"devices\":{}"),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":0,\"devices\":[{\"deviceFileDescriptor\":1}]"),
		"fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":0,\"devices\":[" DEVICE("\"x\":1") "]"),
		"fds 3\nreply " IOMMUFD("\"iommuFileDescriptor\":0,\"devices\":[" DEVICE(
			"\"deviceFileDescriptor\":1") "," DEVICE("\"deviceFileDescriptor\":2") "]"),
		/* the rest */
		"fds 2\nreply {\"lease\":-3,\"backend\":\"iommufd\",\"iommuFileDescriptor\":0," GOOD_DEVICES "}",
		"fds 2\nreply {\"lease\":\"3\",\"backend\":\"iommufd\",\"iommuFileDescriptor\":0," GOOD_DEVICES "}",
		"fds 2\nreply {\"lease\":3,\"backend\":\"other\",\"iommuFileDescriptor\":0," GOOD_DEVICES "}",
		"fds 2\nreply {\"lease\":3,\"backend\":null,\"iommuFileDescriptor\":0," GOOD_DEVICES "}",
		"fds 2\nreply " IOMMUFD("\"label\":5,\"iommuFileDescriptor\":0," GOOD_DEVICES),
		"fds 2\nreply " IOMMUFD("\"label\":\"a\\u0000b\",\"iommuFileDescriptor\":0," GOOD_DEVICES),
		"fds 2\nmore " IOMMUFD("\"iommuFileDescriptor\":0," GOOD_DEVICES),
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_fault(wrong[i], -EPROTO);
}

static void an_answer_that_breaks_off_leaves_nothing_open(void **state)
{
	assert_fault("fds 2\nraw {\"parameters\nclose\n", -EPROTO);
	assert_fault("close\n", -ECONNRESET);
}

static void too_many_open_files_is_said_so(void **state)
{
	struct rlimit limit, low;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (unsigned int spare = 0; spare < 2; spare++) {
		struct iommud_lease *lease = NULL;
		struct fixture f;
		int next;

		begin(&f, ACQUIRE "fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":0," GOOD_DEVICES));
		next = dup(0);
		close(next);
		low = (struct rlimit){ next + spare, limit.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		assert_int_equal(acquire(&f, one_device, 1, &lease), -EMFILE);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_null(lease);
		end(&f);
	}
}

static void release_names_the_lease(void **state)
{
	struct fixture f;
	char line[256];

	begin(&f, "call io.iommud.Release \"lease\":9\nreply {}\ncall io.iommud.Release\n"
		  "error io.iommud.NoSuchLease {\"lease\":10,\"message\":\"no lease 10 of yours\"}\n");
	assert_int_equal(iommud_release(f.connection, 9), 0);
	fake_server_read_log(&f.server, line, sizeof(line));
	assert_string_equal(line, "call {\"method\":\"io.iommud.Release\",\"parameters\":{\"lease\":9}}");
	assert_int_equal(iommud_release(f.connection, 10), IOMMUD_REFUSED);
	assert_int_equal(iommud_error(f.connection), IOMMUD_ERROR_NO_SUCH_LEASE);
	assert_int_equal(iommud_release(f.connection, UINT64_MAX), -EINVAL);
	end(&f);
}

static void a_thousand_leases_leave_nothing_open(void **state)
{
	struct fixture f;
	char line[512];

	begin(&f, ACQUIRE "fds 2\nreply " IOMMUFD("\"iommuFileDescriptor\":0," GOOD_DEVICES) "call io.iommud.Release\n"
											     "reply {}\n");
	for (int i = 0; i < 1000; i++) {
		struct iommud_lease *lease = NULL;
		uint64_t id;

		assert_int_equal(acquire(&f, one_device, 1, &lease), 0);
		id = iommud_lease_id(lease);
		lease = iommud_lease_free(lease);
		assert_int_equal(iommud_release(f.connection, id), 0);
		/* An unread log would stop the server. */
		fake_server_read_log(&f.server, line, sizeof(line));
		fake_server_read_log(&f.server, line, sizeof(line));
	}
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iommufd_brings_iommu_and_devices),
		cmocka_unit_test(legacy_brings_container_groups_and_devices),
		cmocka_unit_test(beyond_the_last_device_there_is_nothing),
		cmocka_unit_test(what_is_taken_outlives_the_lease),
		cmocka_unit_test(a_lease_needs_no_connection),
		cmocka_unit_test(descriptors_may_come_with_any_part_of_the_message),
		cmocka_unit_test(the_request_is_sent_as_the_interface_says),
		cmocka_unit_test(a_request_is_checked_before_it_is_sent),
		cmocka_unit_test(asks_for_devices_of_a_pool),
		cmocka_unit_test(a_pool_and_devices_exclude_each_other),
		cmocka_unit_test(requests_of_other_versions_are_understood),
		cmocka_unit_test(wrong_answers_are_faults_and_leave_nothing_open),
		cmocka_unit_test(an_answer_that_breaks_off_leaves_nothing_open),
		cmocka_unit_test(too_many_open_files_is_said_so),
		cmocka_unit_test(release_names_the_lease),
		cmocka_unit_test(a_thousand_leases_leave_nothing_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
