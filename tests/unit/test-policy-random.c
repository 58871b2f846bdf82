/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random sets of rules over all keys of [Match] and [Client], with lists, globs and negation, held against random devices
 * and clients of which some things are not known. The seeds are fixed, so that a failure comes again.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy-text.h"
#include "util/cleanup.h"

#define RULES_MAX 6
#define ITEMS_MAX 3
#define N_PROBES 40

/* What the keys are written with, and what of it fits each of the values that a device or client can have. */
struct vocabulary {
	const char *key;
	const char *values[3];
	const char *items[5];
	bool fits[5][3];
};

static const struct vocabulary words[] = {
	{ "Driver",
	  { "nvme", "e1000e", "vfio-pci" },
	  { "nvme", "e*", "*", "vfio-pci", "[nv]*" },
	  { { 1, 0, 0 }, { 0, 1, 0 }, { 1, 1, 1 }, { 0, 0, 1 }, { 1, 0, 1 } } },
	{ "Path",
	  { "pci-a", "pci-b", "platform-c" },
	  { "pci-*", "pci-a", "*", "platform-?", "x" },
	  { { 1, 1, 0 }, { 1, 0, 0 }, { 1, 1, 1 }, { 0, 0, 1 }, { 0, 0, 0 } } },
	{ "Serial",
	  { "S1", "S2", "T1" },
	  { "S1", "S?", "*", "T*", "*1" },
	  { { 1, 0, 0 }, { 1, 1, 0 }, { 1, 1, 1 }, { 0, 0, 1 }, { 1, 0, 1 } } },
	{ "Unit",
	  { "a.service", "b.service", "c.scope" },
	  { "a.service", "*.service", "*", "c.scope", "?.s*" },
	  { { 1, 0, 0 }, { 1, 1, 0 }, { 1, 1, 1 }, { 0, 0, 1 }, { 1, 1, 1 } } },
	{ "Slice",
	  { "x.slice", "x-y.slice", "z.slice" },
	  { "x.slice", "x-*", "*", "z.slice", "x-y.slice" },
	  { { 1, 1, 0 }, { 0, 1, 0 }, { 1, 1, 1 }, { 0, 0, 1 }, { 0, 1, 0 } } },
	{ "Context",
	  { "u:r:t:s0", "u:r:v:s0:c1,c2", "w:r:t:s0" },
	  { "u:*:*:*", "*:*:t:*", "*", "w:r:t:s0", "u:r:v:s0:c1,c2" },
	  { { 1, 1, 0 }, { 1, 0, 1 }, { 1, 1, 1 }, { 0, 0, 1 }, { 0, 1, 0 } } },
	{ "AppArmor",
	  { "p", "q", "unconfined" },
	  { "p", "[pq]", "*", "unconfined", "?" },
	  { { 1, 0, 0 }, { 1, 1, 0 }, { 1, 1, 1 }, { 0, 0, 1 }, { 1, 1, 0 } } },
};

#define N_WORDS ARRAY_SIZE(words)
#define FIRST_CLIENT 3
#define UNKNOWN 3

struct model_item {
	unsigned int item;
	bool negated;
};

struct model_rule {
	bool allows;
	struct {
		struct model_item items[ITEMS_MAX];
		unsigned int n;
	} keys[N_WORDS];
};

static unsigned int seed;

static unsigned int pick(unsigned int n)
{
	return (unsigned int)rand_r(&seed) / 7 % n;
}

static void make_rule(struct model_rule *rule)
{
	*rule = (struct model_rule){ .allows = pick(3) > 0 };
	for (size_t i = 0; i < N_WORDS; i++) {
		rule->keys[i].n = pick(3) ? 0 : 1 + pick(ITEMS_MAX);
		for (unsigned int j = 0; j < rule->keys[i].n; j++) {
			struct model_item *item = &rule->keys[i].items[j];

			*item = (struct model_item){ .item = pick(5), .negated = pick(3) == 0 };
			if (item->item == 2)
				item->negated = false;
		}
	}
}

static size_t write_keys(const struct model_rule *rule, size_t from, size_t to, char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = from; i < to; i++) {
		if (rule->keys[i].n == 0)
			continue;
		used += snprintf(text + used, size - used, "%s=", words[i].key);
		for (unsigned int j = 0; j < rule->keys[i].n; j++)
			used += snprintf(text + used, size - used, "%s%s%s", j ? " " : "",
					 rule->keys[i].items[j].negated ? "!" : "",
					 words[i].items[rule->keys[i].items[j].item]);
		used += snprintf(text + used, size - used, "\n");
	}
	return used;
}

static size_t write_rule(const struct model_rule *rule, char *text, size_t size)
{
	size_t used = snprintf(text, size, "[Match]\nAddress=*\n");

	used += write_keys(rule, 0, FIRST_CLIENT, text + used, size - used);
	used += snprintf(text + used, size - used, "[Client]\nUser=*\n");
	used += write_keys(rule, FIRST_CLIENT, N_WORDS, text + used, size - used);
	return used + snprintf(text + used, size - used, "[Grant]\nAction=%s\n", rule->allows ? "allow" : "deny");
}

/* The words of the manual: one of the others fits, or there is none; and none that excludes does. */
static bool key_fits(const struct model_rule *rule, size_t key, unsigned int value)
{
	bool chosen = false, has_choice = false;

	for (unsigned int j = 0; j < rule->keys[key].n; j++) {
		bool fits = words[key].fits[rule->keys[key].items[j].item][value];

		if (rule->keys[key].items[j].negated && fits)
			return false;
		has_choice |= !rule->keys[key].items[j].negated;
		chosen |= !rule->keys[key].items[j].negated && fits;
	}
	return chosen || !has_choice;
}

/* Which rule decides, by the naive walk: an unknown value stops an allow that asks for it, and no deny. N: none does. */
static size_t walk(const struct model_rule *rules, size_t n, const unsigned int values[N_WORDS])
{
	for (size_t i = 0; i < n; i++) {
		bool decides = true;

		for (size_t key = 0; key < N_WORDS && decides; key++) {
			if (rules[i].keys[key].n == 0)
				continue;
			if (values[key] == UNKNOWN)
				decides = !rules[i].allows;
			else
				decides = key_fits(&rules[i], key, values[key]);
		}
		if (decides)
			return i;
	}
	return n;
}

static const char *word(const unsigned int values[N_WORDS], size_t key)
{
	return values[key] == UNKNOWN ? NULL : words[key].values[values[key]];
}

static struct policy_decision ask(const struct policy *policy, const unsigned int values[N_WORDS])
{
	const struct policy_subject subject = {
		.id = &test_nic, .driver = word(values, 0), .path = word(values, 1), .serial = word(values, 2)
	};
	struct identity client = IDENTITY_INIT;

	client.uid = client.gid = 1000;
	client.unit = (char *)word(values, 3);
	client.slice = (char *)word(values, 4);
	client.label = (char *)word(values, 5);
	client.apparmor = (char *)word(values, 6);
	return policy_ask_all(policy, &subject, &client);
}

static void make_values(unsigned int values[N_WORDS])
{
	/* A driver is always known. */
	values[0] = pick(3);
	for (size_t i = 1; i < N_WORDS; i++)
		values[i] = pick(4);
}

struct set {
	struct model_rule rules[RULES_MAX];
	size_t n;
	size_t lines[RULES_MAX + 1]; /* where each begins */
	struct policy *policy;
};

/*
 * Whether the text is a policy: what contradicts itself, or denies what an earlier rule allows, is none. `ret_useless`: a rule
 * is warned of that never decides.
 */
static bool load(const char *text, struct policy **ret, bool *ret_useless)
{
	struct policy_report report;
	int r = policy_from_text(text, ret, &report);

	*ret_useless = report.text && strstr(report.text, "warning: this rule");
	policy_report_clear(&report);
	return r == 0;
}

/* By itself no contradiction. */
static void make_sound_rule(struct model_rule *rule)
{
	struct policy *policy = NULL;
	char text[4096];
	bool useless;

	do {
		make_rule(rule);
		write_rule(rule, text, sizeof(text));
	} while (!load(text, &policy, &useless));
	policy_free(policy);
}

static bool try_set(struct set *set)
{
	char text[8192];
	size_t used = 0;
	bool useless;

	set->n = 1 + pick(RULES_MAX);
	for (size_t i = 0; i < set->n; i++) {
		set->lines[i] = 1;
		for (size_t c = 0; c < used; c++)
			set->lines[i] += text[c] == '\n';
		make_sound_rule(&set->rules[i]);
		used += write_rule(&set->rules[i], text + used, sizeof(text) - used);
	}
	return load(text, &set->policy, &useless);
}

static void make_set(struct set *set)
{
	while (!try_set(set))
		;
}

static void decides_as_the_naive_walk(void **state)
{
	unsigned int n_allowed = 0, n_denied = 0;

	seed = 1;
	for (int round = 0; round < 1500; round++) {
		struct set set;

		make_set(&set);
		for (int i = 0; i < N_PROBES; i++) {
			struct policy_decision decision;
			unsigned int values[N_WORDS];
			size_t expected;

			make_values(values);
			expected = walk(set.rules, set.n, values);
			decision = ask(set.policy, values);
			assert_int_equal(decision.file != NULL, expected < set.n);
			if (expected == set.n)
				continue;
			assert_int_equal(decision.line, set.lines[expected]);
			assert_int_equal(decision.action == POLICY_ALLOW, set.rules[expected].allows);
			n_allowed += set.rules[expected].allows;
			n_denied += !set.rules[expected].allows;
		}
		policy_free(set.policy);
	}
	/* It did meet both. */
	assert_true(n_allowed > 5000 && n_denied > 5000);
}

/* Whoever can keep something from being known has nothing by it. */
static void to_know_less_never_gives_more(void **state)
{
	unsigned int n_lost = 0;

	seed = 2;
	for (int round = 0; round < 1500; round++) {
		struct set set;

		make_set(&set);
		for (int i = 0; i < N_PROBES; i++) {
			unsigned int values[N_WORDS], fewer[N_WORDS];
			bool more, less;

			make_values(values);
			memcpy(fewer, values, sizeof(fewer));
			fewer[1 + pick(N_WORDS - 1)] = UNKNOWN;
			more = ask(set.policy, values).action == POLICY_ALLOW;
			less = ask(set.policy, fewer).action == POLICY_ALLOW;
			assert_true(more || !less);
			n_lost += more && !less;
		}
		policy_free(set.policy);
	}
	assert_true(n_lost > 500);
}

/* The warning is a proof: what it is about may be left out. */
static void a_rule_that_is_warned_of_never_decides(void **state)
{
	unsigned int n_warned = 0;

	seed = 3;
	for (int round = 0; round < 3000; round++) {
		struct model_rule rules[2];
		struct policy *policy;
		char text[4096];
		size_t used, line = 1;
		bool useless;

		make_sound_rule(&rules[0]);
		make_sound_rule(&rules[1]);
		for (size_t key = 0; key < N_WORDS; key++)
			if (pick(4))
				rules[1].keys[key] = rules[0].keys[key];
		used = write_rule(&rules[0], text, sizeof(text));
		for (size_t c = 0; c < used; c++)
			line += text[c] == '\n';
		write_rule(&rules[1], text + used, sizeof(text) - used);
		if (!load(text, &policy, &useless))
			continue;
		n_warned += useless;
		for (int i = 0; i < N_PROBES && useless; i++) {
			unsigned int values[N_WORDS];

			make_values(values);
			assert_int_not_equal(ask(policy, values).line, line);
		}
		policy_free(policy);
	}
	assert_true(n_warned > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decides_as_the_naive_walk),
		cmocka_unit_test(to_know_less_never_gives_more),
		cmocka_unit_test(a_rule_that_is_warned_of_never_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
