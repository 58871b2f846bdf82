/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two pure text functions below the parser: globs, held against fnmatch(3), and hints. */
#include "policy/glob.h"

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/nearest.h"
#include "util/cleanup.h"

static void matches_whole_texts(void **state)
{
	assert_true(glob_match("", ""));
	assert_true(glob_match("abc", "abc"));
	assert_false(glob_match("abc", "abcd"));
	assert_false(glob_match("abcd", "abc"));
	assert_true(glob_match("*", ""));
	assert_true(glob_match("***", "x"));
	assert_false(glob_match("?", ""));
	assert_true(glob_match("a*b*c", "axxbyyc"));
	assert_false(glob_match("a*b*c", "axxbyyd"));
	assert_true(glob_match("*aab", "aaaaab"));
	assert_true(glob_match("[a-c][!a-c]", "bd"));
	assert_true(glob_match("[a-]", "-"));
	assert_true(glob_match("[-a]", "-"));
	assert_false(glob_match("[!-]", "-"));
	assert_false(glob_match("[a-c]", "A"));
}

static void is_not_slow_on_many_stars(void **state)
{
	char text[4001];

	/* With a backtracking matcher this takes longer than the universe has. */
	memset(text, 'a', 4000);
	text[4000] = '\0';
	assert_false(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void checks_brackets(void **state)
{
	static const struct {
		const char *pattern;
		size_t offset;
	} bad[] = {
		{ "[", 0 },  { "a[", 1 },  { "a[]", 1 },    { "[!]", 0 },
		{ "[a", 0 }, { "[a-", 0 }, { "x[b-a]", 1 }, { "[!", 0 },
	};
	static const char *const good[] = { "", "*", "a", "[a]", "[a-]", "[!a-z0-9]", "]", "a]b", "[a][b]", "[[]" };
	size_t offset;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_non_null(glob_check(bad[i].pattern, &offset));
		assert_int_equal(offset, bad[i].offset);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(glob_check(good[i], &offset));
}

static void tells_how_long_a_text_must_be(void **state)
{
	bool open_ended;

	assert_int_equal(glob_min_length("1[0-9a]?", &open_ended), 3);
	assert_false(open_ended);
	assert_int_equal(glob_min_length("*1*2*", &open_ended), 2);
	assert_true(open_ended);
	assert_int_equal(glob_min_length("", &open_ended), 0);
	assert_false(open_ended);
}

static void agrees_with_fnmatch_on_random_input(void **state)
{
	static const char pattern_characters[] = "ab*?[]!-", text_characters[] = "ab-]!";
	unsigned int seed = 4711, compared = 0;

	for (int round = 0; round < 200000; round++) {
		char pattern[12] = "", text[10] = "";
		int pattern_length = rand_r(&seed) % 10, text_length = rand_r(&seed) % 8;
		size_t offset;

		for (int i = 0; i < pattern_length; i++)
			pattern[i] = pattern_characters[rand_r(&seed) % (sizeof(pattern_characters) - 1)];
		for (int i = 0; i < text_length; i++)
			text[i] = text_characters[rand_r(&seed) % (sizeof(text_characters) - 1)];
		if (glob_check(pattern, &offset))
			continue;
		compared++;
		if (glob_match(pattern, text) != (fnmatch(pattern, text, FNM_NOESCAPE) == 0))
			print_error("'%s' on '%s'\n", pattern, text);
		assert_int_equal(glob_match(pattern, text), fnmatch(pattern, text, FNM_NOESCAPE) == 0);
	}
	assert_true(compared > 50000);
}

static const char *find_nearest(struct nearest *nearest, const char *wanted)
{
	static const char *const names[] = { "Vendor", "Device", "Class", "Address", "Driver", "User" };

	nearest_begin(nearest, wanted);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		nearest_offer(nearest, names[i]);
	return nearest_get(nearest);
}

static void hints_at_what_was_mistyped(void **state)
{
	static const struct {
		const char *wanted, *meant;
	} cases[] = {
		{ "Vendr", "Vendor" },   { "Vednor", "Vendor" },  { "vendor", "Vendor" },  { "Vendors", "Vendor" },
		{ "Adress", "Address" }, { "Clas", "Class" },     { "Usr", "User" },       { "DEVICES", "Device" },
		{ "Dirver", "Driver" },  { "Addres", "Address" }, { "Verndor", "Vendor" },
	};
	struct nearest nearest;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(find_nearest(&nearest, cases[i].wanted), cases[i].meant);
}

static void hints_at_nothing_that_is_far_away(void **state)
{
	static const char *const cases[] = {
		"",
		"a",
		"Foo",
		"Subsystem",
		"Userland",
		"Ver",
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	};
	struct nearest nearest;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_null(find_nearest(&nearest, cases[i]));
	nearest_begin(&nearest, "a");
	assert_null(nearest_get(&nearest));
	nearest_begin(&nearest, "name");
	nearest_offer(&nearest, "name-but-far-longer-than-what-is-looked-at-here");
	assert_null(nearest_get(&nearest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_whole_texts),
		cmocka_unit_test(is_not_slow_on_many_stars),
		cmocka_unit_test(checks_brackets),
		cmocka_unit_test(tells_how_long_a_text_must_be),
		cmocka_unit_test(agrees_with_fnmatch_on_random_input),
		cmocka_unit_test(hints_at_what_was_mistyped),
		cmocka_unit_test(hints_at_nothing_that_is_far_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
