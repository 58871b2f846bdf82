/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who keeps a lease lingering. The helper is asked once, for it has to look at every process; what it finds is kept with the
 * lease for those who ask. Nobody waits for the answer but the event that tells of it: the device is as busy without.
 */
#include <stdio.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"
#include "util/text.h"

static void tell(struct lease *lease)
{
	char who[256] = "";
	size_t length = 0;

	for (size_t i = 0; i < lease->holders.n && length < sizeof(who); i++)
		length += snprintf(who + length, sizeof(who) - length, "%s%s", i ? ", " : "; they are with ",
				   lease->holders.texts[i]);
	if (revoke_report(lease, who))
		return;
	event_lease(
		lease, LOG_NOTICE, "leaseLingering",
		"lease %llu of uid %d is over, but descriptors of its devices are still out%s; they are free when the "
		"last one is closed",
		(unsigned long long)lease->id, (int)lease->uid, who);
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

/* NULL: the transaction, and so its lease, came to its end meanwhile. */
static struct lease *find_lease(struct broker *broker, uint64_t transaction)
{
	struct lease *lease;

	list_for_each(lease, &broker->leases, link)
		for (size_t i = 0; i < lease->n_devices; i++)
			if (transaction && lease->devices[i]->transaction == transaction)
				return lease;
	return NULL;
}

/* The helper went: no more answers will come. */
static void give_up(struct broker *broker)
{
	struct lease *lease;

	list_for_each(lease, &broker->leases, link) {
		if (!lease->n_holders_asked)
			continue;
		lease->n_holders_asked = 0;
		tell(lease);
	}
}

static void replied(void *userdata, int error, const struct helper_reply *reply)
{
	struct broker *broker = userdata;
	struct lease *lease = error < 0 ? NULL : find_lease(broker, reply->transaction);

	if (error < 0)
		give_up(broker);
	if (!lease || !lease->n_holders_asked)
		return;
	for (size_t i = 0; reply->status == HELPER_OK && i < reply->n_holders; i++)
		add(&lease->holders, &reply->holders[i]);
	if (--lease->n_holders_asked == 0)
		tell(lease);
}

void holders_ask(struct lease *lease)
{
	for (size_t i = 0; i < lease->n_devices; i++) {
		const struct lease_device *device = lease->devices[i];

		if (device->transaction &&
		    helper_client_holders(lease->broker->helper, device->transaction, replied, lease->broker) == 0)
			lease->n_holders_asked++;
	}
	if (lease->n_holders_asked == 0)
		tell(lease);
}
