/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NumVFs=: has physical functions make their virtual functions, when a policy comes into force, when one of them appears,
 * gets its driver, or comes back from a lease. Once for each of these: an admin who takes the virtual functions away after
 * that is not fought. The helper does it and knows the number; what is here is the list of wishes that it has not answered.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/internal.h"
#include "util/log.h"

/* Of one physical function. */
struct vfs_wish {
	struct list_link link; /* broker::vfs_wishes */
	struct broker *broker;
	bool sent; /* the helper's answer is out */
	char address[DEVICE_ADDRESS_MAX];
};

static void wish_free(struct vfs_wish *wish)
{
	list_unlink(&wish->link);
	free(wish);
}

static bool is_wanted(struct broker *broker, const struct device *device)
{
	const struct policy_subject subject = broker_policy_subject(broker, device);
	const char *driver = device->driver, *file;
	unsigned int line;

	return device->max_virtual_functions > 0 && driver[0] && !driver_is_vfio(driver) &&
	       !driver_is_allowed(driver) && !broker_group_holder(broker, device->group->id) &&
	       policy_num_vfs(broker->policy, &subject, &file, &line) > 0;
}

static bool is_listed(struct broker *broker, const char *address)
{
	const struct vfs_wish *wish;

	list_for_each(wish, &broker->vfs_wishes, link)
		if (strcmp(wish->address, address) == 0)
			return true;
	return false;
}

static void publish_failure(struct broker *broker, const char *address, const char *why)
{
	const struct device *device = registry_find_device(broker->registry, address);

	if (device)
		event_device(broker, LOG_ERR, "vfsFailed", device, "%s: its virtual functions were not made: %s",
			     address, why);
}

void vfs_want(struct broker *broker, const struct device *device)
{
	struct vfs_wish *wish;

	if (!is_wanted(broker, device) || is_listed(broker, device->id.address))
		return;
	wish = calloc(1, sizeof(*wish));
	if (!wish) {
		publish_failure(broker, device->id.address, strerror(ENOMEM));
		return;
	}
	wish->broker = broker;
	memcpy(wish->address, device->id.address, sizeof(wish->address));
	list_append(&broker->vfs_wishes, &wish->link);
}

void vfs_want_all(struct broker *broker)
{
	const struct device *device;

	list_for_each(device, registry_devices(broker->registry), link)
		vfs_want(broker, device);
}

static void publish_outcome(struct broker *broker, const char *address, const struct helper_reply *reply)
{
	const struct device *device = registry_find_device(broker->registry, address);

	if (reply->status == HELPER_OK && reply->n_made > 0 && device)
		event_device(broker, LOG_INFO, "vfsCreated", device, "%s has made %u virtual functions", address,
			     reply->n_made);
	else if (reply->status == HELPER_TIMED_OUT)
		publish_failure(broker, address, "its driver has not come back yet; see 'journalctl -u iommud-helper'");
	else if (reply->status != HELPER_OK && reply->status != HELPER_NO_SUCH_DEVICE)
		publish_failure(broker, address, reply->detail[0] ? reply->detail : helper_status_text(reply->status));
}

static void replied(void *userdata, int error, const struct helper_reply *reply)
{
	struct vfs_wish *wish = userdata;
	struct broker *broker = wish->broker;

	wish->sent = false;
	/* It is asked again when the helper is back, or has the same policy. */
	if (error < 0 || reply->status == HELPER_POLICY_DIFFERS)
		return;
	if (reply->status == HELPER_BUSY) {
		recover_retry_later(broker);
		return;
	}
	publish_outcome(broker, wish->address, reply);
	wish_free(wish);
}

void vfs_resume(struct broker *broker)
{
	struct vfs_wish *wish, *following;

	if (broker->sweeping || !helper_client_is_connected(broker->helper))
		return;
	list_for_each_safe(wish, following, &broker->vfs_wishes, link) {
		const struct device *device = registry_find_device(broker->registry, wish->address);

		if (wish->sent)
			continue;
		if (!device || !is_wanted(broker, device)) {
			wish_free(wish);
			continue;
		}
		wish->sent = helper_client_make_vfs(broker->helper, wish->address, policy_digest(broker->policy),
						    replied, wish) == 0;
		if (!wish->sent)
			recover_retry_later(broker);
	}
}

void broker_policy_shared(struct broker *broker)
{
	vfs_resume(broker);
}

void vfs_forget(struct broker *broker)
{
	struct vfs_wish *wish, *following;

	list_for_each_safe(wish, following, &broker->vfs_wishes, link)
		wish_free(wish);
}
