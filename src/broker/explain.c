/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Acquire would say: the same judgement, with all that leads to it, and without doing anything. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"

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

static void plan_device(const struct device *device, struct explanation *explanation)
{
	const char *address = device->id.address;
	const char *opener = explanation->opener ? explanation->opener->name : NULL;

	if (driver_is_vfio(device->driver)) {
		add_step(explanation, "%s stays on %s", address, device->driver);
	} else {
		if (device->driver[0])
			add_step(explanation, "%s is unbound from %s%s", address, device->driver,
				 explanation->decision.force ? ", even if the host uses it (Force=yes)" : "");
		add_step(explanation, "%s is bound to vfio-pci, or to a variant of it that is made for it", address);
	}
	if (opener)
		add_step(explanation, "%s is opened and handed out by the backend %s", address, opener);
	if (driver_is_vfio(device->driver))
		add_step(explanation, "at the end %s is rebound to %s, which waits for the last descriptor", address,
			 device->driver);
	else if (device->driver[0])
		add_step(explanation, "at the end %s is bound to %s again", address, device->driver);
	else
		add_step(explanation, "at the end %s has no driver again", address);
}

static int explain_device(struct broker *broker, struct judgement *judgement, const struct device *device,
			  struct explanation *explanation)
{
	struct group_terms terms;
	int r;

	explanation->group = device->group->id;
	judge_decide(broker, device, judgement->identity, &explanation->decision);
	terms = judge_terms(judgement, device, &explanation->decision);
	r = judge_group(broker, device->group, &terms, &explanation->verdict);
	if (r == 0)
		r = judge_bystanders(device->group, &terms, &explanation->bystanders, explanation->token);
	if (explanation->bystanders.n == 0)
		explanation->token[0] = '\0';
	explanation->opener =
		judge_opener(broker, judge_backend_word(judgement->backend) & explanation->decision.backends);
	plan_bystanders(device, &terms, false, explanation);
	plan_device(device, explanation);
	plan_bystanders(device, &terms, true, explanation);
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
	*explanation = (struct explanation){ 0 };
}
