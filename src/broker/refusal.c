/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker/refusal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/helper-client.h"
#include "policy/policy.h"

void refusal_set(struct refusal *refusal, enum refusal_kind kind, const char *format, ...)
{
	va_list args;

	refusal->kind = kind;
	va_start(args, format);
	vsnprintf(refusal->message, sizeof(refusal->message), format, args);
	va_end(args);
}

void bystanders_clear(struct bystanders *bystanders)
{
	free(bystanders->list);
	*bystanders = (struct bystanders){ 0 };
}

void refusal_clear(struct refusal *refusal)
{
	free(refusal->file);
	free(refusal->label);
	free(refusal->other_label);
	verdict_clear(&refusal->verdict);
	bystanders_clear(&refusal->bystanders);
	reset_set_clear(&refusal->reset_set);
	*refusal = (struct refusal){ 0 };
}

static void refuse_in_use(struct refusal *refusal, const struct lease_device *device, const char *detail,
			  const struct policy_decision *decision)
{
	refusal->group = device->group;
	refusal->host_has_it = true;
	snprintf(refusal->holder, sizeof(refusal->holder), "%s", detail);
	refusal_set(refusal, REFUSAL_BUSY,
		    "%s is in use by the host: %s; end that use, or take it by Force=yes in %s:%u", device->id.address,
		    refusal->holder, decision->file ? decision->file : "the rule", decision->line);
}

void refusal_from_timeout(struct refusal *refusal, const struct lease_device *device, const char *step,
			  const struct lease_holders *holders)
{
	bool unbinds = strcmp(step, helper_step_name(HELPER_STEP_UNBIND)) == 0 && device->driver[0];
	char who[LEASE_HOLDERS_TEXT];

	lease_holders_text(holders, who);
	refusal->holders = *holders;
	refusal_set(refusal, REFUSAL_TIMED_OUT,
		    "%s: %s%s did not let go of it in time (step %s)%s%s; it is put back as soon as that happens; see "
		    "'journalctl -k' and 'journalctl -u iommud-helper'",
		    device->id.address, unbinds ? "driver " : "the kernel", unbinds ? device->driver : "", step,
		    who[0] ? "; it is open in these processes, end them: " : "", who);
}

void refusal_from_blocked(struct refusal *refusal, const char *address, const struct lease *holder, bool mine)
{
	const struct lease_device *blocked = lease_find_blocked(holder);
	const char *driver = blocked->driver[0] ? blocked->driver : "(none)";
	char who[LEASE_HOLDERS_TEXT] = "";

	if (mine) {
		lease_holders_text(&holder->holders, who);
		refusal->holders = holder->holders;
	}
	if (!who[0])
		snprintf(refusal->holder, sizeof(refusal->holder), "driver %s", driver);
	refusal->state = holder->state;
	refusal->passes = true;
	refusal_set(
		refusal, REFUSAL_BUSY,
		"%s: group %u is %s: driver %s has not let go of %s%s%s; it is put back, and free again, when that happens",
		address, blocked->group, lease_state_name(holder->state), driver, blocked->id.address,
		who[0] ? ", which is open in " : "", who);
}

static void refuse_for_limit(struct refusal *refusal, const struct lease_device *device, const char *detail)
{
	snprintf(refusal->word, sizeof(refusal->word), "workers");
	refusal->number = EAGAIN;
	refusal_set(
		refusal, REFUSAL_PREPARE_FAILED,
		"%s: iommud-helper has no worker left, %s; try again when one of them is back, or raise MaxWorkers= in "
		"iommud.conf",
		device->id.address, detail);
}

void refusal_from_helper(struct refusal *refusal, const struct lease_device *device, const struct helper_reply *reply,
			 const struct policy_decision *decision)
{
	static const struct lease_holders nobody = { 0 };
	const char *step = helper_step_name(reply->step);

	memcpy(refusal->device, device->id.address, sizeof(refusal->device));
	snprintf(refusal->word, sizeof(refusal->word), "%s", step);
	refusal->number = reply->error;
	if (reply->status == HELPER_TIMED_OUT) {
		refusal_from_timeout(refusal, device, step, &nobody);
	} else if (reply->status == HELPER_REFUSED) {
		refusal_set(refusal, REFUSAL_DENIED,
			    "%s: iommud-helper's own copy of the policy does not allow it; see "
			    "'journalctl -u iommud-helper'",
			    device->id.address);
	} else if (reply->status == HELPER_BUSY && reply->detail[0]) {
		refuse_for_limit(refusal, device, reply->detail);
	} else if (reply->status == HELPER_BUSY) {
		refusal->group = device->group;
		refusal->state = LEASE_RELEASING;
		refusal_set(refusal, REFUSAL_BUSY, "%s: another job of iommud-helper has the device; try again",
			    device->id.address);
	} else if (reply->status == HELPER_IN_USE) {
		refuse_in_use(refusal, device, reply->detail, decision);
	} else if (reply->status == HELPER_FAULT && reply->step == HELPER_STEP_RESET && reply->error == ENOENT) {
		refusal_set(refusal, REFUSAL_PREPARE_FAILED,
			    "%s has no reset method any more, and its rule says Reset=require; see "
			    "'iommuctl describe %s'",
			    device->id.address, device->id.address);
	} else if (reply->status == HELPER_FAULT && reply->step == HELPER_STEP_RESET) {
		refusal_set(refusal, REFUSAL_PREPARE_FAILED,
			    "%s could not be reset (%s), and is quarantined: nobody gets it until a reset succeeds, "
			    "which the next request tries; what was changed has been put back",
			    device->id.address, strerror(reply->error));
	} else if (reply->status == HELPER_FAULT) {
		refusal_set(refusal, REFUSAL_PREPARE_FAILED,
			    "%s: step %s failed: %s; what was changed has been put back", device->id.address, step,
			    strerror(reply->error));
	} else {
		refusal_set(refusal, REFUSAL_PREPARE_FAILED, "%s: iommud-helper: %s", device->id.address,
			    helper_status_text(reply->status));
	}
}
