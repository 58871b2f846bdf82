// SPDX-License-Identifier: GPL-2.0-only
/*
 * A claim: the group of one device, all of its members or none, for as long as its descriptor is open. It owns a reference of
 * the group, of each member, and of the iommufd; it promises that closing the descriptor undoes everything, without waiting
 * for a device. What happens to members meanwhile is guard.c's.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommud.h"
#include "trace.h"

#define WATCH_INTERVAL (HZ / 4)

DEFINE_MUTEX(claims_lock);
LIST_HEAD(claims);

static void watch_contexts(struct work_struct *work);
static DECLARE_DELAYED_WORK(context_watch, watch_contexts);

static struct iommud_event event_of(const struct claim *claim, u32 type, const struct device *dev, const char *driver,
				    u32 error)
{
	struct iommud_event event = { .type = type, .group = iommu_group_id(claim->group), .error = error };

	strscpy(event.device, dev ? dev_name(dev) : claim->device, sizeof(event.device));
	strscpy(event.driver, driver ?: "", sizeof(event.driver));
	return event;
}

void claim_tell(struct claim *claim, u32 type, const struct device *dev, const char *driver, u32 error)
{
	const struct iommud_event event = event_of(claim, type, dev, driver, error);

	ring_add(&claim->ring, &event);
	listeners_tell(&event);
}

static void drop_all(struct claim *claim)
{
	while (!list_empty(&claim->members)) {
		struct member *member = list_first_entry(&claim->members, struct member, link);

		guard_allow_later(member);
		member_drop(claim, member);
	}
}

/* ---- the making ---- */

static int add_member(struct device *dev, void *userdata)
{
	return claim_add_member(userdata, dev, GFP_KERNEL_ACCOUNT) ? 0 : -ENOMEM;
}

/* Nobody can bind or unbind it while its lock is held; who holds it now may do so for long. */
static int check_driver(const struct claim *claim, struct member *member)
{
	struct device *dev = member->dev;
	int r = 0;

	if (!device_is_known(dev))
		return -ENODEV;
	/* The group has it for a moment more, and its REMOVED notifier, which would tell us to let go, may be over. */
	if (!device_is_on_bus(dev))
		return -EAGAIN;
	if (!device_trylock(dev))
		return -EAGAIN;
	if (dev->driver && !driver_is_allowed(claim, dev, dev->driver))
		r = -EBUSY;
	if (!dev->driver && (claim->flags & IOMMUD_CLAIM_SINGLETON))
		r = -EBUSY;
	member->on_vfio = dev->driver && driver_is_vfio(dev->driver->name);
	device_unlock(dev);
	return r;
}

static int check_members(const struct claim *claim)
{
	struct member *member;
	int r;

	if ((claim->flags & IOMMUD_CLAIM_SINGLETON) && !list_is_singular(&claim->members))
		return -EBUSY;
	list_for_each_entry(member, &claim->members, link)
	{
		r = check_driver(claim, member);
		if (r)
			return r;
	}
	return 0;
}

static int own_members(struct claim *claim)
{
	if (!(claim->flags & IOMMUD_CLAIM_DENY_ONLY))
		return members_own_dma(claim);
	claim->state = CLAIM_DENYING;
	return 0;
}

static int check_label(struct claim *claim)
{
	const struct claim *other;

	list_for_each_entry(other, &claims, link)
	{
		if (other->group != claim->group || other->state == CLAIM_ENDED)
			continue;
		if (strcmp(other->label ?: "", claim->label ?: "")) {
			claim_tell(claim, IOMMUD_EVENT_LABEL_REFUSED, NULL, NULL, 0);
			return -EXDEV;
		}
	}
	return 0;
}

/* All under the lock: a driver that comes meanwhile waits in its notifier, with its device's lock, which says so. */
static int claim_begin(struct claim *claim, int iommufd)
{
	int r = check_label(claim);

	if (r)
		return r;
	r = iommu_group_for_each_dev(claim->group, claim, add_member);
	if (r)
		return r;
	if (list_empty(&claim->members))
		return -ENODEV;
	if (iommufd >= 0) {
		claim->context = context_get(iommufd);
		if (IS_ERR(claim->context)) {
			r = PTR_ERR(claim->context);
			claim->context = NULL;
			return r;
		}
	}
	r = check_members(claim);
	return r ?: own_members(claim);
}

void claim_free(struct claim *claim)
{
	drop_all(claim);
	context_put(claim->context);
	iommu_group_put(claim->group);
	kfree(claim->label);
	kfree(claim->drivers);
	kfree(claim);
}

void claim_release_dma(struct claim *claim)
{
	members_release_dma(claim);
	context_put(claim->context);
	claim->context = NULL;
}

bool claim_park(struct claim *claim)
{
	if (claim->state == CLAIM_OWNING && !claim->context)
		return true;
	if (claim->context)
		claim_release_dma(claim);
	claim->state = members_own_dma(claim) ? CLAIM_DENYING : CLAIM_OWNING;
	return claim->state == CLAIM_OWNING;
}

void claim_end(struct claim *claim, u32 why)
{
	const struct iommud_event event = event_of(claim, why, NULL, NULL, 0);

	drop_all(claim);
	context_put(claim->context);
	claim->context = NULL;
	claim->state = CLAIM_ENDED;
	/* Its reader gets the record before the end, and who hears of it by another descriptor finds that it is so. */
	ring_add(&claim->ring, &event);
	WRITE_ONCE(claim->ended, true);
	wake_up_interruptible(&claim->ring.readers);
	listeners_tell(&event);
}

/* ---- CLAIM ---- */

static int copy_texts(struct claim *claim, const struct iommud_claim *request)
{
	void *text;

	if (request->label_size) {
		text = memdup_user_nul(u64_to_user_ptr(request->label), request->label_size);
		if (IS_ERR(text))
			return PTR_ERR(text);
		claim->label = text;
		if (strlen(claim->label) != request->label_size)
			return -EINVAL;
	}
	if (request->drivers_size) {
		text = memdup_user(u64_to_user_ptr(request->drivers), request->drivers_size);
		if (IS_ERR(text))
			return PTR_ERR(text);
		claim->drivers = text;
		claim->drivers_size = request->drivers_size;
		if (!driver_names_are_valid(claim->drivers, claim->drivers_size))
			return -EINVAL;
	}
	return 0;
}

static int find_group(struct claim *claim, const struct iommud_claim *request)
{
	claim->group = device_find_group(request->bus, request->device, &claim->slot);
	return claim->group ? 0 : -ENODEV;
}

static int check_request(const struct iommud_claim *request)
{
	if (request->flags & ~(IOMMUD_CLAIM_SINGLETON | IOMMUD_CLAIM_DENY_ONLY))
		return -EINVAL;
	if (request->iommufd < -1 || (request->iommufd >= 0 && (request->flags & IOMMUD_CLAIM_DENY_ONLY)))
		return -EINVAL;
	if (request->iommufd >= 0 && !contexts_supported())
		return -EOPNOTSUPP;
	if (request->label_size > IOMMUD_LABEL_MAX || request->n_nodes > IOMMUD_NODES_MAX ||
	    request->drivers_size > IOMMUD_DRIVERS_MAX * IOMMUD_DRIVER_MAX)
		return -EINVAL;
	return 0;
}

static struct claim *claim_new(const struct iommud_claim *request)
{
	struct claim *claim = kzalloc(sizeof(*claim), GFP_KERNEL_ACCOUNT);
	int r;

	if (!claim)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&claim->members);
	ring_init(&claim->ring);
	claim->flags = request->flags;
	claim->pid = task_tgid_nr(current);
	strscpy(claim->device, request->device, sizeof(claim->device));
	r = copy_texts(claim, request);
	if (!r)
		r = find_group(claim, request);
	if (!r)
		return claim;
	kfree(claim->label);
	kfree(claim->drivers);
	kfree(claim);
	return ERR_PTR(r);
}

int claim_open(const struct iommud_claim *request)
{
	struct claim *claim;
	struct file *file;
	int fd, r;

	r = check_request(request);
	if (!r && request->n_nodes)
		r = nodes_check(u64_to_user_ptr(request->nodes), request->n_nodes);
	if (r)
		return r;
	claim = claim_new(request);
	if (IS_ERR(claim))
		return PTR_ERR(claim);
	fd = get_unused_fd_flags(O_CLOEXEC);
	r = fd < 0 ? fd : 0;
	mutex_lock(&claims_lock);
	if (!r)
		r = claim_begin(claim, request->iommufd);
	if (!r) {
		/* Published before there is a file, for release() takes it from the list. */
		list_add_tail(&claim->link, &claims);
		file = anon_inode_getfile("[iommud-claim]", &claim_fops, claim, O_RDWR);
		r = PTR_ERR_OR_ZERO(file);
		if (r)
			list_del(&claim->link);
	}
	if (r)
		claim_free(claim);
	else
		trace_iommud_claim(iommu_group_id(claim->group), claim->device, claim->flags, claim->pid);
	mutex_unlock(&claims_lock);
	if (r) {
		if (fd >= 0)
			put_unused_fd(fd);
		return r;
	}
	if (request->iommufd >= 0)
		schedule_delayed_work(&context_watch, WATCH_INTERVAL);
	fd_install(fd, file);
	return fd;
}

/* ---- claims that end by themselves ---- */

bool claim_has_vfio(const struct claim *claim)
{
	const struct member *member;

	list_for_each_entry(member, &claim->members, link) if (member->on_vfio) return true;
	return false;
}

void claim_end_if_unbound(struct claim *claim)
{
	if (claim->given_back && claim->state != CLAIM_ENDED && !claim_has_vfio(claim))
		claim_end(claim, IOMMUD_EVENT_LET_GO);
}

static void watch_contexts(struct work_struct *work)
{
	struct claim *claim;
	bool again = false;

	mutex_lock(&claims_lock);
	list_for_each_entry(claim, &claims, link)
	{
		if (!claim->context)
			continue;
		if (!context_is_abandoned(claim->context))
			again = true;
		else if (claim->given_back && claim_park(claim))
			claim_tell(claim, IOMMUD_EVENT_PARKED, NULL, NULL, 0);
		else
			claim_end(claim, IOMMUD_EVENT_CONTEXT_GONE);
	}
	mutex_unlock(&claims_lock);
	if (again)
		schedule_delayed_work(&context_watch, WATCH_INTERVAL);
}

void claims_exit(void)
{
	cancel_delayed_work_sync(&context_watch);
}
