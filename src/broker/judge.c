/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one place where it is decided whether a request is granted. It asks, in this order: is there such a device, does the
 * policy allow it, and as much by this rule, do the labels agree, does somebody have it or what controls it, is the group as large as the rule admits,
 * is it viable, can it be reset as the rule demands, does the client know whom it takes along, is there a backend. The first
 * no is the refusal. It changes nothing, so that Explain asks the same questions, and so that a lease can be judged again
 * before its descriptors go out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "broker/labels.h"
#include "util/cleanup.h"
#include "util/text.h"

static bool text_equals(const char *left, const char *right)
{
	return left == right || (left && right && strcmp(left, right) == 0);
}

static const char *text_or(const char *text, const char *otherwise)
{
	return text && text[0] ? text : otherwise;
}

static int set_text(char **target, const char *text)
{
	free(*target);
	*target = text ? strdup(text) : NULL;
	return text && !*target ? -ENOMEM : 0;
}

static void refuse_missing(struct refusal *refusal, const char *address)
{
	text_copy_printable(refusal->device, sizeof(refusal->device), address);
	refusal_set(refusal, REFUSAL_NO_SUCH_DEVICE,
		    "no device %s with an IOMMU group; see 'iommuctl list', and whether the IOMMU is on "
		    "(intel_iommu=on, amd_iommu=on)",
		    refusal->device);
}

/* Addresses of a group's members, copied: reading one anew may free any of the structures. */
static int copy_members(const struct group *group, char (**ret)[DEVICE_ADDRESS_MAX], size_t *ret_n)
{
	char(*members)[DEVICE_ADDRESS_MAX] = calloc(group->n_devices, sizeof(*members));
	const struct device *device;
	size_t n = 0;

	if (!members)
		return -ENOMEM;
	list_for_each(device, &group->devices, group_link)
		memcpy(members[n++], device->id.address, sizeof(*members));
	*ret = members;
	*ret_n = n;
	return 0;
}

static int refresh_group(struct broker *broker, const struct device *device)
{
	_cleanup_free_ char(*members)[DEVICE_ADDRESS_MAX] = NULL;
	size_t n;
	int r = copy_members(device->group, &members, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = registry_refresh(broker->registry, members[i]);
		if (r == -ENOENT) /* a member that went is not in the way */
			r = 0;
	}
	return r;
}

int judge_refresh(struct broker *broker, const char *const *devices, const char **missing)
{
	for (; *devices; devices++) {
		const struct device *device = NULL;
		int r = device_address_is_valid(*devices) ? registry_refresh(broker->registry, *devices) : -ENOENT;

		if (r == 0)
			device = registry_find_device(broker->registry, *devices);
		if (device)
			r = refresh_group(broker, device);
		if (r == 0)
			r = sriov_refresh(broker, *devices);
		if (r == 0 && device)
			r = reset_refresh(broker, *devices);
		if (r == 0 && device)
			continue;
		*missing = *devices;
		return r < 0 ? r : -ENOENT;
	}
	return 0;
}

void judge_decide(struct broker *broker, const struct device *device, const struct identity *identity,
		  struct policy_decision *ret)
{
	const struct policy_subject subject = broker_policy_subject(broker, device);

	policy_decide(broker->policy, &subject, identity, ret);
}

static int check_policy(const struct device *device, const struct policy_decision *decision, struct refusal *refusal)
{
	if (device->bridge) {
		refusal_set(refusal, REFUSAL_DENIED, "%s is a bridge: it carries other devices and is never handed out",
			    device->id.address);
		return 0;
	}
	if (decision->action == POLICY_ALLOW)
		return 0;
	refusal->line = decision->line;
	refusal_set(refusal, REFUSAL_DENIED, "%s: %s", device->id.address, decision->reason);
	return set_text(&refusal->file, decision->file);
}

/* One label for all devices of a request, and the one that the group carries while somebody has it. */
static int check_label(struct broker *broker, const struct judgement *judgement, const struct device *device,
		       const char *label, bool first, struct refusal *refusal)
{
	const struct lease *holder = broker_group_holder(broker, device->group->id);
	/* What a former broker's lease carried is not known; that it is held is said next. */
	bool held = holder && holder != judgement->self && holder->uid != (uid_t)-1;
	const char *present = held ? holder->label : judgement->label;

	if ((first && !held) || text_equals(present, label))
		return 0;
	refusal->passes = held;
	refusal_set(refusal, REFUSAL_LABEL_MISMATCH, "group %u %s the label %s%s, but %s would get %s by %s:%u",
		    device->group->id, held ? "carries" : "would get", text_or(present, "(none)"),
		    held ? " until its last device is back" : "", device->id.address, text_or(label, "(none)"),
		    refusal->file, refusal->line);
	if (set_text(&refusal->label, present) < 0 || set_text(&refusal->other_label, label) < 0)
		return -ENOMEM;
	return 0;
}

/* Its client let go of it; who did not is known. */
static void refuse_lingering(const struct device *device, const struct lease *holder, struct refusal *refusal)
{
	const struct lease_holders *holders = &holder->holders;
	char who[LEASE_HOLDERS_TEXT];

	lease_holders_text(holders, who);
	refusal->state = holder->state;
	refusal->passes = true;
	refusal->holders = *holders;
	refusal_set(
		refusal, REFUSAL_BUSY,
		"%s: group %u is %s: its lease is over, but descriptors of it are still with %s; it is free again when "
		"they are closed",
		device->id.address, device->group->id, lease_state_name(holder->state), who);
}

static bool may_know_holder(const struct identity *asker, const struct lease *holder)
{
	return asker->uid == 0 || asker->uid == holder->uid;
}

void judge_describe_holder(const struct identity *asker, const struct lease *holder, char *ret, size_t size)
{
	if (holder->uid == (uid_t)-1)
		snprintf(ret, size, "a client of a former iommud");
	else if (may_know_holder(asker, holder))
		snprintf(ret, size, "pid %d of uid %u", (int)holder->pid, holder->uid);
	else
		snprintf(ret, size, "another user");
}

static void check_holder(struct broker *broker, const struct judgement *judgement, const struct device *device,
			 struct refusal *refusal)
{
	const struct lease *holder = broker_group_holder(broker, device->group->id);

	if (!holder || holder == judgement->self)
		return;
	if (lease_find_blocked(holder)) {
		refusal_from_blocked(refusal, device->id.address, holder, may_know_holder(judgement->identity, holder));
		return;
	}
	if (may_know_holder(judgement->identity, holder) && holder->holders.n) {
		refuse_lingering(device, holder, refusal);
		return;
	}
	refusal->state = holder->state;
	refusal->passes = true;
	judge_describe_holder(judgement->identity, holder, refusal->holder, sizeof(refusal->holder));
	refusal_set(refusal, REFUSAL_BUSY, "%s: group %u is %s, held by %s; it is free again when that client lets go",
		    device->id.address, device->group->id, lease_state_name(holder->state), refusal->holder);
}

static int check_scope(const struct device *device, const struct group_terms *terms, struct refusal *refusal)
{
	const struct group_terms nobody = { .registry = terms->registry, .conduct = terms->conduct };
	size_t n_siblings = isolation_count(terms, device);
	char token[DIGEST_HEX_SIZE];

	if (terms->scope == POLICY_WHOLE || device->group->n_devices + n_siblings == 1)
		return 0;
	if (n_siblings > 0)
		refusal_set(
			refusal, REFUSAL_NOT_SINGLETON,
			"%s shares its parent %s with %zu more, which are one group with it by Isolation=shared in %s:%u, "
			"and that rule admits groups of one device only; GroupScope=whole there would admit it, with all of "
			"its siblings",
			device->id.address, device->parent, n_siblings, text_or(refusal->file, "the rule"),
			refusal->line);
	else
		refusal_set(
			refusal, REFUSAL_NOT_SINGLETON,
			"%s shares group %u with %zu more, and %s:%u admits groups of one device only; GroupScope=whole there "
			"would admit it, with all of its members",
			device->id.address, device->group->id, device->group->n_devices - 1,
			text_or(refusal->file, "the rule"), refusal->line);
	return judge_bystanders(device->group, &nobody, &refusal->bystanders, token);
}

/* Two members that one client would get under different labels: nobody can have the group. */
static int add_label_conflict(struct broker *broker, const struct group *group, struct verdict *verdict)
{
	struct blocker blocker = { .kind = BLOCKER_LABEL_CONFLICT };
	struct label_conflict conflict;
	int r = labels_find_conflict(broker->policy, broker, group, &conflict);

	if (r <= 0)
		return r;
	memcpy(blocker.device, conflict.device, sizeof(blocker.device));
	snprintf(blocker.message, sizeof(blocker.message), "%.255s", conflict.message);
	snprintf(blocker.remedy, sizeof(blocker.remedy), "give all members of group %u the same Label= in both rules",
		 group->id);
	return verdict_add(verdict, &blocker);
}

/* Members that leave their drivers for this lease, whether they are handed out or parked. */
static int list_moving(const struct group *group, const struct group_terms *terms, const char ***ret)
{
	const char **moving = calloc(group->n_devices + 1, sizeof(*moving));
	const struct device *device;
	size_t n = 0;

	if (!moving)
		return -ENOMEM;
	list_for_each(device, &group->devices, group_link)
		if (text_is_listed(terms->devices, device->id.address) || park_is_planned(terms, device))
			moving[n++] = device->id.address;
	*ret = moving;
	return 0;
}

static int judge_viability(struct broker *broker, const struct group *group, const struct group_terms *terms,
			   struct verdict *ret)
{
	const struct lease *holder = broker_group_holder(broker, group->id);
	_cleanup_free_ const char **moving = NULL;
	struct viability_options options = {
		.unsafe_interrupts_allowed = registry_unsafe_interrupts_allowed(broker->registry),
	};
	int r;

	if (!terms) {
		options.allowed_drivers = holder ? (const char *const *)holder->allowed_drivers : NULL;
		r = viability_judge(group, &options, ret);
		return r < 0 ? r : isolation_judge(broker, group, &options, ret);
	}
	r = list_moving(group, terms, &moving);
	if (r < 0)
		return r;
	options.allowed_drivers = terms->allowed_drivers;
	options.moving = moving;
	r = viability_judge(group, &options, ret);
	if (r == 0)
		r = isolation_judge(broker, group, &options, ret);
	if (r == 0)
		park_add_remedies(group, terms, ret);
	return r;
}

int judge_group(struct broker *broker, const struct group *group, const struct group_terms *terms, struct verdict *ret)
{
	struct verdict verdict = { 0 };
	int r = judge_viability(broker, group, terms, &verdict);

	if (r == 0)
		r = add_label_conflict(broker, group, &verdict);
	if (r == 0)
		r = sriov_add_blockers(broker, group, terms, &verdict);
	if (r < 0) {
		verdict_clear(&verdict);
		return r;
	}
	*ret = verdict;
	return 0;
}

int broker_judge_group(struct broker *broker, const struct group *group, struct verdict *ret)
{
	return judge_group(broker, group, NULL, ret);
}

static int check_viability(struct broker *broker, const struct group_terms *terms, const struct device *device,
			   struct refusal *refusal)
{
	const struct blocker *first;
	int r = judge_group(broker, device->group, terms, &refusal->verdict);

	if (r < 0 || verdict_is_viable(&refusal->verdict))
		return r;
	first = &refusal->verdict.blockers[0];
	refusal_set(refusal, REFUSAL_NOT_VIABLE, "group %u is not viable: %s; %s%s", device->group->id, first->message,
		    first->remedy, refusal->verdict.n_blockers > 1 ? " (and more: see 'iommuctl explain')" : "");
	return 0;
}

/* A request for devices of several groups brings several tokens, separated by commas. */
static bool consents(const char *consent, const char *token)
{
	const char *found = consent ? strstr(consent, token) : NULL;
	size_t length = strlen(token);

	return found && (found == consent || found[-1] == ',') && (found[length] == ',' || found[length] == '\0');
}

static int check_consent(const struct judgement *judgement, const struct group_terms *terms,
			 const struct device *device, struct refusal *refusal)
{
	int r = judge_bystanders(device->group, terms, &refusal->bystanders, refusal->token);

	if (r < 0 || refusal->bystanders.n == 0 || consents(judgement->consent, refusal->token))
		return r;
	refusal_set(
		refusal, REFUSAL_CONSENT_REQUIRED,
		"group %u has %zu more member%s, within reach of whoever gets %s; say that you know, by bringing the token",
		device->group->id, refusal->bystanders.n, refusal->bystanders.n == 1 ? "" : "s", device->id.address);
	return 0;
}

unsigned int judge_backend_word(const char *word)
{
	if (!word || strcmp(word, "auto") == 0)
		return POLICY_BACKEND_ANY;
	if (strcmp(word, opener_iommufd.name) == 0)
		return POLICY_BACKEND_IOMMUFD;
	if (strcmp(word, opener_legacy.name) == 0)
		return POLICY_BACKEND_LEGACY;
	return 0;
}

const struct opener *judge_opener(struct broker *broker, unsigned int backends)
{
	for (const struct opener *const *opener = broker->openers; *opener; opener++)
		if ((judge_backend_word((*opener)->name) & backends) && (*opener)->available(broker->dev_fd))
			return *opener;
	return NULL;
}

static void check_backend(struct broker *broker, struct judgement *judgement, struct refusal *refusal)
{
	snprintf(refusal->word, sizeof(refusal->word), "%s", text_or(judgement->backend, "auto"));
	if (judgement->backends == 0) {
		refusal_set(refusal, REFUSAL_BACKEND_UNAVAILABLE, "%s:%u does not admit the backend %s",
			    text_or(refusal->file, "the rule"), refusal->line, refusal->word);
		return;
	}
	judgement->opener = judge_opener(broker, judgement->backends);
	if (!judgement->opener)
		refusal_set(
			refusal, REFUSAL_BACKEND_UNAVAILABLE,
			"this kernel does not offer the backend %s: /dev/iommu is missing for iommufd, /dev/vfio/vfio for "
			"legacy; load the modules iommufd or vfio_iommu_type1, or use a kernel that has them",
			refusal->word);
}

/* All questions about one device of the request. The first no ends it. */
static int judge_device(struct broker *broker, struct judgement *judgement, size_t i)
{
	const char *address = judgement->devices[i];
	const struct device *device = registry_find_device(broker->registry, address);
	const struct group_terms *terms = &judgement->terms[i];
	struct refusal *refusal = &judgement->refusal;
	struct policy_decision decision;
	const char *label;
	int r;

	refusal_clear(refusal);
	if (!device) {
		refuse_missing(refusal, address);
		return 0;
	}
	memcpy(refusal->device, device->id.address, sizeof(refusal->device));
	refusal->group = device->group->id;
	judge_decide(broker, device, judgement->identity, &decision);
	r = check_policy(device, &decision, refusal);
	if (r < 0 || refusal->kind)
		return r;
	label = decision.label_kind == POLICY_LABEL_NONE ? NULL : decision.label;
	refusal->line = decision.line;
	r = set_text(&refusal->file, decision.file);
	if (r == 0)
		rule_quota_check(broker, judgement, &decision, device, refusal);
	if (r == 0 && !refusal->kind)
		r = check_label(broker, judgement, device, label, i == 0, refusal);
	if (r < 0 || refusal->kind)
		return r;
	if (i == 0)
		judgement->label = label;
	judgement->backends &= decision.backends;
	check_holder(broker, judgement, device, refusal);
	if (!refusal->kind)
		isolation_check(broker, judgement, terms, device, refusal);
	if (!refusal->kind)
		wait_check(broker, judgement, device, refusal);
	if (!refusal->kind)
		sriov_check(broker, judgement, device, refusal);
	if (!refusal->kind)
		r = check_scope(device, terms, refusal);
	if (r == 0 && !refusal->kind)
		r = check_viability(broker, terms, device, refusal);
	if (r == 0 && !refusal->kind)
		r = reset_check(broker, judgement, terms, device, refusal);
	if (r == 0 && !refusal->kind)
		r = check_consent(judgement, terms, device, refusal);
	return r;
}

int judge(struct broker *broker, struct judgement *judgement)
{
	struct refusal *refusal = &judgement->refusal;
	const char *missing;
	int r = judge_refresh(broker, judgement->devices, &missing);

	if (r == -ENOENT) {
		refuse_missing(refusal, missing);
		return 0;
	}
	if (r < 0)
		return r;
	judgement->registry = broker->registry;
	judgement->backends = judge_backend_word(judgement->backend);
	judge_fill_terms(broker, judgement);
	for (size_t i = 0; judgement->devices[i]; i++) {
		r = judge_device(broker, judgement, i);
		if (r < 0 || refusal->kind)
			return r;
	}
	check_backend(broker, judgement, refusal);
	if (!refusal->kind)
		refusal_clear(refusal);
	return 0;
}
