/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Acquire would say: the same judgement, with all that leads to it, and without doing anything. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "topology/buses.h"
#include "topology/mdev.h"

__attribute__((format(printf, 2, 3))) static void add_step(struct explanation *explanation, const char *format, ...)
{
	va_list args;

	if (explanation->n_plan == EXPLANATION_STEPS_MAX)
		return;
	va_start(args, format);
	vsnprintf(explanation->plan[explanation->n_plan++], sizeof(explanation->plan[0]), format, args);
	va_end(args);
}

static void plan_bystanders(const struct device *device, const struct group_terms *terms, bool afterwards,
			    struct explanation *explanation)
{
	const struct device *member;

	list_for_each(member, &device->group->devices, group_link) {
		if (!park_is_planned(terms, member))
			continue;
		if (afterwards)
			add_step(explanation, "then %s is bound to %s again", member->id.address, member->driver);
		else
			add_step(explanation, "%s is unbound from %s and parked on pci-stub", member->id.address,
				 member->driver);
	}
}

static void plan_reset(const struct broker *broker, const struct device *device, bool bus,
		       struct explanation *explanation)
{
	const struct past_device *past = past_find(&broker->past, &device->id);
	const char *address = device->id.address;

	if (past && past->quarantined)
		add_step(explanation, "%s is quarantined: it is reset before, and not handed out if that fails again",
			 address);
	else
		add_step(explanation, "%s is reset before%s (%s)", address, bus ? ", with all of its bus" : "",
			 past && past->had ? "another user had it" : "it is not known who had it");
}

static void plan_without_reset(const struct broker *broker, const struct device *device,
			       struct explanation *explanation)
{
	bool below_bridge = reset_scope_of(registry_devices(broker->registry), device) == RESET_SCOPE_BUS;

	add_step(explanation, "%s can't be reset on its own: %s; it is handed out as another user may have left it",
		 device->id.address, below_bridge ? "only all of its bus together" : "it has no reset method");
}

/* Only PCI has variants. */
static void plan_bind(const struct device *device, struct explanation *explanation)
{
	const struct bus *bus = bus_find(device->bus);
	const char *general = bus && bus->vfio_driver ? bus->vfio_driver : "a vfio driver";

	add_step(explanation, "%s is bound to %s%s", device->id.address, general,
		 strcmp(device->bus, "pci") == 0 ? ", or to a variant of it that is made for it" : "");
}

/* Until the device is on a vfio driver and as it is to be. */
static void plan_binding(const struct broker *broker, const struct device *device, enum device_reset reset,
			 struct explanation *explanation)
{
	bool stays = device_is_on_vfio(device) && reset != DEVICE_RESET_NEEDED;
	const char *address = device->id.address;

	if (stays)
		add_step(explanation, "%s stays on %s", address, device->driver);
	else if (device->driver[0])
		add_step(explanation, "%s is unbound from %s%s", address, device->driver,
			 explanation->decision.force ? ", even if the host uses it (Force=yes)" : "");
	if (reset == DEVICE_RESET_NEEDED)
		plan_reset(broker, device, false, explanation);
	else if (reset == DEVICE_RESET_IMPOSSIBLE)
		plan_without_reset(broker, device, explanation);
	if (device_is_on_vfio(device) && !stays)
		add_step(explanation, "%s is bound to %s again", address, device->driver);
	else if (!stays)
		plan_bind(device, explanation);
	if (reset == DEVICE_RESET_BUS)
		plan_reset(broker, device, true, explanation);
}

static void plan_device(const struct broker *broker, const struct device *device, enum device_reset reset,
			struct explanation *explanation)
{
	const char *address = device->id.address;
	const char *opener = explanation->opener ? explanation->opener->name : NULL;

	plan_binding(broker, device, reset, explanation);
	if (opener)
		add_step(explanation, "%s is opened and handed out by the backend %s", address, opener);
	if (device_is_mdev(device))
		add_step(explanation,
			 "at the end %s is removed, which waits for the last descriptor, and made again by %s", address,
			 device->parent);
	else if (device_is_on_vfio(device) && broker->module)
		add_step(
			explanation,
			"at the end %s stays on %s, and its group claimed, if nobody has it open and a reset of its own is "
			"possible; otherwise it is rebound, which waits for the last descriptor",
			address, device->driver);
	else if (device_is_on_vfio(device))
		add_step(explanation, "at the end %s is rebound to %s, which waits for the last descriptor", address,
			 device->driver);
	else if (device->driver[0])
		add_step(explanation, "at the end %s is bound to %s again", address, device->driver);
	else
		add_step(explanation, "at the end %s has no driver again", address);
}

static void keep_passed(void *userdata, const struct policy_miss *missed)
{
	struct explanation *explanation = userdata;

	if (explanation->n_passed_in_all++ < EXPLANATION_PASSED_MAX)
		explanation->passed[explanation->n_passed++] = *missed;
}

static int explain_rules(struct broker *broker, const struct device *device, const struct identity *identity,
			 struct explanation *explanation)
{
	const struct policy_subject subject = broker_policy_subject(broker, device);

	explanation->passed = calloc(EXPLANATION_PASSED_MAX, sizeof(explanation->passed[0]));
	if (!explanation->passed)
		return -ENOMEM;
	policy_trace(broker->policy, &subject, identity, keep_passed, explanation);
	return 0;
}

static int explain_device(struct broker *broker, struct judgement *judgement, const struct device *device,
			  struct explanation *explanation)
{
	enum device_reset reset = DEVICE_RESET_NOT_NEEDED;
	struct group_terms terms;
	int r;

	explanation->group = device->group->id;
	memcpy(explanation->parent, device->parent, sizeof(explanation->parent));
	judge_decide(broker, device, judgement->identity, &explanation->decision);
	terms = judge_terms(judgement, device, &explanation->decision);
	r = judge_group(broker, device->group, &terms, &explanation->verdict);
	if (r == 0)
		r = judge_bystanders(device->group, &terms, &explanation->bystanders, explanation->token);
	if (explanation->bystanders.n == 0)
		explanation->token[0] = '\0';
	explanation->opener =
		judge_opener(broker, judge_backend_word(judgement->backend) & explanation->decision.backends);
	if (r == 0)
		r = explain_rules(broker, device, judgement->identity, explanation);
	if (r == 0)
		r = reset_set_find(registry_devices(broker->registry), device, &explanation->reset);
	if (r == 0)
		r = reset_plan(broker, judgement, device, explanation->decision.conduct.reset, &reset);
	plan_bystanders(device, &terms, false, explanation);
	plan_device(broker, device, reset, explanation);
	plan_bystanders(device, &terms, true, explanation);
	guarantees_list(broker, device, explanation);
	return r;
}

int broker_explain(struct broker *broker, const struct identity *identity, const char *address, const char *backend,
		   struct explanation *ret)
{
	const char *devices[] = { address, NULL };
	struct judgement judgement = { .identity = identity, .devices = devices, .backend = backend };
	struct explanation explanation = { 0 };
	const struct device *device;
	int r = judge(broker, &judgement);

	device = r == 0 ? registry_find_device(broker->registry, address) : NULL;
	if (device && judgement.refusal.kind == REFUSAL_CONSENT_REQUIRED) {
		/* What else would stand against it, once the client brings the token that Explain gives. */
		judgement.consent = strdupa(judgement.refusal.token);
		refusal_clear(&judgement.refusal);
		r = judge(broker, &judgement);
	}
	explanation.refusal = judgement.refusal;
	if (r == 0 && device)
		r = explain_device(broker, &judgement, registry_find_device(broker->registry, address), &explanation);
	if (r < 0) {
		explanation_clear(&explanation);
		return r;
	}
	*ret = explanation;
	return 0;
}

void explanation_clear(struct explanation *explanation)
{
	refusal_clear(&explanation->refusal);
	verdict_clear(&explanation->verdict);
	bystanders_clear(&explanation->bystanders);
	reset_set_clear(&explanation->reset);
	free(explanation->passed);
	*explanation = (struct explanation){ 0 };
}
