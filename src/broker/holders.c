/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who keeps the devices of a lease that lingers, or that a driver does not let go of. The helper has to look at every process
 * for it, so what it finds is kept with the lease for those who ask, and looked for anew only when that was told to somebody and
 * is not fresh any more. Nobody waits for the answer but the client whose device is not let go of, and the event that a lease
 * lingers.
 */
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"
#include "util/text.h"

/* Two reasons to linger: descriptors that the client's side has, or a driver that never let go. */
static void publish(struct lease *lease)
{
	const struct lease_device *blocked = lease_find_blocked(lease);
	char who[LEASE_HOLDERS_TEXT], with[LEASE_HOLDERS_TEXT + 32] = "";

	lease->linger_told = true;
	lease_holders_text(&lease->holders, who);
	if (who[0])
		snprintf(with, sizeof(with), "; they are with %s", who);
	if (revoke_report(lease, with))
		return;
	if (blocked)
		event_lease(
			lease, LOG_NOTICE, "leaseLingering",
			"lease %llu of uid %d was not granted, and driver %s has not let go of %s%s%s; it is free when it "
			"does",
			(unsigned long long)lease->id, (int)lease->uid, blocked->driver[0] ? blocked->driver : "(none)",
			blocked->id.address, who[0] ? "; it is open in " : "", who);
	else
		event_lease(
			lease, LOG_NOTICE, "leaseLingering",
			"lease %llu of uid %d is over, but descriptors of its devices are still out%s; they are free "
			"when the last one is closed",
			(unsigned long long)lease->id, (int)lease->uid, with);
}

static bool is_known(const struct lease_holders *holders, const char *text)
{
	for (size_t i = 0; i < holders->n; i++) {
		if (strcmp(holders->texts[i], text) == 0)
			return true;
	}
	return false;
}

/* A process that has several devices of the lease is named once. */
static void add(struct lease_holders *holders, const struct helper_holder *holder)
{
	char name[HELPER_COMM_MAX], text[sizeof(holders->texts[0])];

	text_copy_printable(name, sizeof(name), holder->comm);
	snprintf(text, sizeof(text), "%spid %d (%s)", holder->unsure ? "maybe " : "", (int)holder->pid, name);
	if (holders->n < HELPER_HOLDERS_MAX && !is_known(holders, text))
		strcpy(holders->texts[holders->n++], text);
}

/* The look has ended. It may free the lease. */
static void ended(struct lease *lease)
{
	lease->n_holders_asked = 0;
	lease->holders_usec = now_usec();
	if (lease->acquire)
		acquire_holders_known(lease->acquire);
	else if (lease->state == LEASE_LINGERING && (!lease->linger_told || lease->revocation.reporting))
		publish(lease);
}

/* The helper went: no more answers will come. */
static void give_up(struct broker *broker)
{
	struct lease *lease, *following;

	list_for_each_safe(lease, following, &broker->leases, link)
		if (lease->n_holders_asked)
			ended(lease);
}

static void replied(void *userdata, int error, const struct helper_reply *reply)
{
	struct broker *broker = userdata;
	struct lease *lease = error < 0 ? NULL : lease_of_transaction(broker, reply->transaction);

	if (error < 0)
		give_up(broker);
	if (!lease || !lease->n_holders_asked)
		return;
	for (size_t i = 0; reply->status == HELPER_OK && i < reply->n_holders; i++)
		add(&lease->holders_found, &reply->holders[i]);
	if (lease->n_holders_asked > 1) {
		lease->n_holders_asked--;
		return;
	}
	if (reply->status == HELPER_OK)
		lease->holders = lease->holders_found;
	ended(lease);
}

/* Before the devices are handed out, only those that a driver keeps; afterwards all that can be open somewhere. */
static bool is_asked_about(const struct lease_device *device)
{
	if (!device->transaction)
		return false;
	return device->blocked || (!device->lease->acquire && !device->parked);
}

bool holders_ask(struct lease *lease)
{
	if (lease->n_holders_asked)
		return true;
	lease->holders_found = (struct lease_holders){ 0 };
	for (size_t i = 0; i < lease_n_all(lease); i++) {
		const struct lease_device *device = lease->devices[i];

		if (is_asked_about(device) &&
		    helper_client_holders(lease->broker->helper, device->transaction, replied, lease->broker) == 0)
			lease->n_holders_asked++;
	}
	return lease->n_holders_asked > 0;
}

void holders_tell(struct lease *lease)
{
	if (!holders_ask(lease))
		publish(lease);
}

void holders_ask_again(struct lease *lease)
{
	if (lease->state == LEASE_LINGERING &&
	    now_usec() - lease->holders_usec >= lease->broker->limits.holders_fresh_usec)
		(void)holders_ask(lease);
}
