/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who gets within a client's reach unasked, and the token: the same for what is the same, another for all else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "fail-alloc.h"

#define N_MEMBERS 3
#define MAX_TOKENS 32

struct machine {
	struct group group;
	struct device devices[N_MEMBERS];
};

static void make(struct machine *machine)
{
	static const char *const drivers[N_MEMBERS] = { "", "snd_hda_intel", "vfio-pci" };

	memset(machine, 0, sizeof(*machine));
	list_init(&machine->group.devices);
	machine->group.id = 5;
	for (int i = 0; i < N_MEMBERS; i++) {
		struct device *device = &machine->devices[i];

		snprintf(device->id.address, sizeof(device->id.address), "0000:01:00.%d", i);
		strcpy(device->driver, drivers[i]);
		device->id.vendor = 0x10de;
		device->id.device = 0x2204 + i;
		device->group = &machine->group;
		list_append(&machine->group.devices, &device->group_link);
		machine->group.n_devices++;
	}
}

static struct bystanders judge_for(const struct machine *machine, const char *first, const char *second, char *token)
{
	const char *devices[] = { first, second, NULL };
	struct bystanders bystanders;

	assert_int_equal(
		judge_bystanders(&machine->group, &(struct group_terms){ .devices = devices }, &bystanders, token), 0);
	assert_int_equal(strlen(token), DIGEST_HEX_SIZE - 1);
	return bystanders;
}

static void lists_members_that_were_not_asked_for(void **state)
{
	char token[DIGEST_HEX_SIZE];
	struct machine machine;
	struct bystanders bystanders;

	make(&machine);
	bystanders = judge_for(&machine, "0000:01:00.2", NULL, token);
	assert_int_equal(bystanders.n, 2);
	assert_string_equal(bystanders.list[0].device, "0000:01:00.0");
	assert_string_equal(bystanders.list[0].ids, "10de:2204");
	assert_string_equal(bystanders.list[0].driver, "");
	assert_string_equal(bystanders.list[0].action, "stays without a driver");
	assert_string_equal(bystanders.list[1].device, "0000:01:00.1");
	assert_string_equal(bystanders.list[1].driver, "snd_hda_intel");
	assert_string_equal(bystanders.list[1].action, "stays on snd_hda_intel");
	bystanders_clear(&bystanders);
	assert_null(bystanders.list);
	assert_int_equal(bystanders.n, 0);
}

static void lists_none_when_all_were_asked_for(void **state)
{
	const char *devices[] = { "0000:01:00.1", "0000:09:00.0", "0000:01:00.0", "0000:01:00.2", NULL };
	char token[DIGEST_HEX_SIZE];
	struct bystanders bystanders;
	struct machine machine;

	make(&machine);
	assert_int_equal(
		judge_bystanders(&machine.group, &(struct group_terms){ .devices = devices }, &bystanders, token), 0);
	assert_int_equal(bystanders.n, 0);
	bystanders_clear(&bystanders);
}

static void a_driver_with_the_longest_name_fits(void **state)
{
	char token[DIGEST_HEX_SIZE];
	struct bystanders bystanders;
	struct machine machine;

	make(&machine);
	memset(machine.devices[1].driver, 'd', DEVICE_DRIVER_MAX - 1);
	bystanders = judge_for(&machine, "0000:01:00.0", "0000:01:00.2", token);
	assert_int_equal(strlen(bystanders.list[0].action), strlen("stays on ") + DEVICE_DRIVER_MAX - 1);
	bystanders_clear(&bystanders);
}

/* Adds the token of the machine as it is, which must be one that was not there. */
static void add_new(char tokens[MAX_TOKENS][DIGEST_HEX_SIZE], size_t *n, const struct machine *machine,
		    const char *asked)
{
	struct bystanders bystanders = judge_for(machine, asked, NULL, tokens[*n]);

	bystanders_clear(&bystanders);
	for (size_t i = 0; i < *n; i++)
		assert_string_not_equal(tokens[i], tokens[*n]);
	assert_true(++*n < MAX_TOKENS);
}

static void the_token_is_the_same_for_the_same(void **state)
{
	char first[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
	struct bystanders bystanders;
	struct machine machine, same;

	make(&machine);
	make(&same);
	same.group.generation = 99; /* events that changed nothing of it */
	same.devices[1].numa_node = 3;
	bystanders = judge_for(&machine, "0000:01:00.0", NULL, first);
	bystanders_clear(&bystanders);
	bystanders = judge_for(&same, "0000:01:00.0", NULL, second);
	bystanders_clear(&bystanders);
	assert_string_equal(first, second);
}

static void the_token_is_another_for_all_that_is_told(void **state)
{
	static char tokens[MAX_TOKENS][DIGEST_HEX_SIZE];
	struct machine machine;
	size_t n = 0;

	make(&machine);
	add_new(tokens, &n, &machine, "0000:01:00.0");
	add_new(tokens, &n, &machine, "0000:01:00.1");
	add_new(tokens, &n, &machine, "0000:01:00.2");
	machine.group.id = 6;
	add_new(tokens, &n, &machine, "0000:01:00.0");
	make(&machine);
	strcpy(machine.devices[1].driver, "snd");
	add_new(tokens, &n, &machine, "0000:01:00.0");
	machine.devices[1].driver[0] = '\0';
	add_new(tokens, &n, &machine, "0000:01:00.0");
	make(&machine);
	machine.devices[2].id.device++;
	add_new(tokens, &n, &machine, "0000:01:00.0");
	make(&machine);
	strcpy(machine.devices[2].id.address, "0000:01:00.3");
	add_new(tokens, &n, &machine, "0000:01:00.0");
	make(&machine);
	list_unlink(&machine.devices[2].group_link);
	add_new(tokens, &n, &machine, "0000:01:00.0");
}

static void without_memory_there_is_no_list(void **state)
{
	const char *devices[] = { NULL };
	struct bystanders bystanders = { .n = 77 };
	char token[DIGEST_HEX_SIZE] = "untouched";
	struct machine machine;

	make(&machine);
	for (unsigned int n = 1; n <= N_MEMBERS; n++) {
		fail_alloc_begin(n);
		assert_int_equal(judge_bystanders(&machine.group, &(struct group_terms){ .devices = devices },
						  &bystanders, token),
				 -ENOMEM);
		assert_true(fail_alloc_end());
		assert_int_equal(bystanders.n, 77);
		assert_string_equal(token, "untouched");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_members_that_were_not_asked_for),
		cmocka_unit_test(lists_none_when_all_were_asked_for),
		cmocka_unit_test(a_driver_with_the_longest_name_fits),
		cmocka_unit_test(the_token_is_the_same_for_the_same),
		cmocka_unit_test(the_token_is_another_for_all_that_is_told),
		cmocka_unit_test(without_memory_there_is_no_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
