/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terms of a request: for each of its devices what the rule that decides on it says of the device's group. All are made
 * before any is judged by, for what becomes of a group's members is decided by the rules of all devices together.
 */
#include "broker/internal.h"

struct group_terms judge_terms(const struct judgement *judgement, const struct device *device,
			       const struct policy_decision *decision)
{
	return (struct group_terms){
		.request = judgement,
		.group = device->group->id,
		.devices = judgement->devices,
		.registry = judgement->registry,
		.self = judgement->self,
		.scope = decision->scope,
		.bystanders = decision->bystanders,
		.allowed_drivers = decision->allowed_drivers,
		.conduct = decision->conduct,
		.limits = decision->limits,
		.file = decision->file,
		.line = decision->line,
	};
}

void judge_fill_terms(struct broker *broker, struct judgement *judgement)
{
	struct policy_decision decision;

	for (size_t i = 0; judgement->devices[i]; i++) {
		const struct device *device = registry_find_device(broker->registry, judgement->devices[i]);

		if (!device)
			continue;
		judge_decide(broker, device, judgement->identity, &decision);
		judgement->terms[i] = judge_terms(judgement, device, &decision);
	}
}
