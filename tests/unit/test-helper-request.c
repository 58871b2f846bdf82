/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The form of requests: what each operation may carry, and that nothing else passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "helper/request.h"
#include "util/cleanup.h"

static bool moves(enum helper_operation operation)
{
	return operation == HELPER_PREPARE || operation == HELPER_PARK;
}

/* It is about a device by its address, not about a transaction. */
static bool has_address(enum helper_operation operation)
{
	return moves(operation) || operation == HELPER_MAKE_VFS;
}

/* It is about a client, whose socket comes along. */
static bool has_client(enum helper_operation operation)
{
	return moves(operation) || operation == HELPER_SIGNAL || operation == HELPER_IDENTIFY;
}

static struct packet packet(enum helper_operation operation)
{
	struct packet packet = { .size = sizeof(struct helper_request), .fd = -1 };

	packet.request.version = HELPER_VERSION;
	packet.request.operation = operation;
	packet.request.serial = 7;
	if (has_address(operation))
		strcpy(packet.request.address, "0000:00:01.0");
	packet.n_fds = has_client(operation) ? 1 : 0;
	if (operation == HELPER_PARK)
		strcpy(packet.request.for_address, "0000:00:01.1");
	return packet;
}

static void takes_each_operation_in_its_form(void **state)
{
	for (int operation = HELPER_HELLO; operation <= HELPER_IDENTIFY; operation++) {
		struct packet good = packet(operation);

		assert_null(request_check(&good));
	}
}

static void refuses_wrong_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, sizeof(struct helper_request) - 1, sizeof(struct helper_request) + 1 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct packet bad = packet(HELPER_NEXT);

		bad.size = sizes[i];
		assert_non_null(request_check(&bad));
	}
}

static void refuses_other_versions(void **state)
{
	struct packet bad = packet(HELPER_NEXT);

	bad.request.version = HELPER_VERSION + 1;
	assert_non_null(request_check(&bad));
	bad.request.version = 0;
	assert_non_null(request_check(&bad));
}

static void refuses_unknown_operations(void **state)
{
	static const uint32_t numbers[] = { 0, HELPER_MAKE_VFS + 1, 1000, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct packet bad = packet(HELPER_NEXT);

		bad.request.operation = numbers[i];
		assert_non_null(request_check(&bad));
	}
}

static void refuses_any_byte_set_in_reserved_fields(void **state)
{
	for (int operation = HELPER_HELLO; operation <= HELPER_IDENTIFY; operation++) {
		for (size_t i = 0; i < sizeof(((struct helper_request *)NULL)->reserved); i++) {
			struct packet bad = packet(operation);

			((uint8_t *)bad.request.reserved)[i] = 1;
			assert_non_null(request_check(&bad));
		}
	}
}

static void refuses_fields_that_the_operation_does_not_take(void **state)
{
	for (int operation = HELPER_HELLO; operation <= HELPER_IDENTIFY; operation++) {
		struct packet other;

		other = packet(operation);
		other.request.transaction = 1;
		assert_int_equal(request_check(&other) == NULL,
				 operation == HELPER_RESTORE || operation == HELPER_NEXT ||
					 operation == HELPER_HOLDERS || operation == HELPER_SIGNAL);
		other = packet(operation);
		other.request.digest[DIGEST_SIZE - 1] = 1;
		assert_int_equal(request_check(&other) == NULL,
				 operation == HELPER_HELLO || operation == HELPER_MAKE_VFS ||
					 (has_client(operation) && operation != HELPER_IDENTIFY));
		other = packet(operation);
		strcpy(other.request.address, "0000:00:02.0");
		assert_int_equal(request_check(&other) == NULL, has_address(operation));
		other = packet(operation);
		strcpy(other.request.for_address, "0000:00:02.0");
		assert_int_equal(request_check(&other) == NULL, operation == HELPER_PARK);
	}
}

static void only_a_prepare_asks_for_a_reset(void **state)
{
	for (int operation = HELPER_HELLO; operation <= HELPER_SIGNAL; operation++) {
		struct packet other = packet(operation);

		other.request.flags = HELPER_RESET;
		assert_int_equal(request_check(&other) == NULL, operation == HELPER_PREPARE);
	}
}

static void refuses_wrong_numbers_of_descriptors(void **state)
{
	for (int operation = HELPER_HELLO; operation <= HELPER_IDENTIFY; operation++) {
		for (size_t n = 0; n < 4; n++) {
			struct packet other = packet(operation);

			other.n_fds = n;
			assert_int_equal(request_check(&other) == NULL, n == (has_client(operation) ? 1 : 0));
		}
	}
}

static void refuses_addresses_that_are_none(void **state)
{
	static const char *const addresses[] = { "",    "..",   ".", "../x",  "0000:00:01.0/driver",
						 "a b", "a\nb", "/", "%s\x80" };
	struct packet bad;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		bad = packet(HELPER_PREPARE);
		memset(bad.request.address, 0, sizeof(bad.request.address));
		strcpy(bad.request.address, addresses[i]);
		assert_non_null(request_check(&bad));
	}
	bad = packet(HELPER_PREPARE);
	memset(bad.request.address, '0', sizeof(bad.request.address));
	assert_non_null(request_check(&bad));
	/* Something hidden behind the end. */
	bad = packet(HELPER_PREPARE);
	bad.request.address[DEVICE_ADDRESS_MAX - 1] = 'x';
	assert_non_null(request_check(&bad));
}

static void parks_one_device_for_another(void **state)
{
	struct packet bad = packet(HELPER_PARK);

	memset(bad.request.for_address, 0, sizeof(bad.request.for_address));
	assert_non_null(request_check(&bad));
	strcpy(bad.request.for_address, "../x");
	assert_non_null(request_check(&bad));
	strcpy(bad.request.for_address, bad.request.address);
	assert_non_null(request_check(&bad));
	bad = packet(HELPER_PARK);
	bad.request.for_address[DEVICE_ADDRESS_MAX - 1] = 'x';
	assert_non_null(request_check(&bad));
}

static void kills_by_a_flag_of_its_own(void **state)
{
	for (int operation = HELPER_HELLO; operation <= HELPER_SIGNAL; operation++) {
		struct packet other = packet(operation);

		other.request.flags = HELPER_KILL;
		assert_int_equal(request_check(&other) == NULL, operation == HELPER_SIGNAL);
		other.request.flags = 1u << 31;
		assert_non_null(request_check(&other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_each_operation_in_its_form),
		cmocka_unit_test(refuses_wrong_sizes),
		cmocka_unit_test(refuses_other_versions),
		cmocka_unit_test(kills_by_a_flag_of_its_own),
		cmocka_unit_test(refuses_unknown_operations),
		cmocka_unit_test(refuses_any_byte_set_in_reserved_fields),
		cmocka_unit_test(refuses_fields_that_the_operation_does_not_take),
		cmocka_unit_test(only_a_prepare_asks_for_a_reset),
		cmocka_unit_test(refuses_wrong_numbers_of_descriptors),
		cmocka_unit_test(refuses_addresses_that_are_none),
		cmocka_unit_test(parks_one_device_for_another),
	};

	return cmocka_run_group_tests_name("helper-request", tests, NULL, NULL);
}
