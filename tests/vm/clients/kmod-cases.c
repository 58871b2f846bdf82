/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kmod-cases: what /dev/iommud promises, one case after the other, on the machine's devices. Prints what the kernel can do, what
 * is tried, and what is left out because this kernel can't do it; ends at the first thing that is not as it should be, with its
 * line. All devices it moves it puts back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "kmod.h"
#include "vfio-abi.h"

static int node; /* of /dev/iommud */
static uint64_t features; /* as INFO tells them */
static const char *edu, *nic, *slot_nic, *slot_nvme, *slot_edu;

#define EXPECT(expected, value)                                                                                      \
	do {                                                                                                         \
		long expected_ = (expected), value_ = (value);                                                       \
		if (expected_ != value_) {                                                                           \
			fprintf(stderr, "%s:%d: %s is %ld (%s), not %ld (%s)\n", __FILE__, __LINE__, #value, value_, \
				value_ < 0 ? strerror((int)-value_) : "", expected_,                                 \
				expected_ < 0 ? strerror((int)-expected_) : "");                                     \
			exit(1);                                                                                     \
		}                                                                                                    \
	} while (0)

static int must(int fd, int line)
{
	if (fd >= 0)
		return fd;
	fprintf(stderr, "%s:%d: %s\n", __FILE__, line, strerror(-fd));
	exit(1);
}
#define MUST(value) must((value), __LINE__)

/* ---- sysfs ---- */

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static const char *driver_of(const char *device)
{
	static char target[256];
	char path[128];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return "";
	target[n] = '\0';
	return strrchr(target, '/') + 1;
}

static void set_override(const char *device, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
	EXPECT(0, write_text(path, driver[0] ? driver : "\n"));
}

static void read_override(const char *device, char *ret, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, ret, size - 1);
	close(fd);
	EXPECT(true, n > 0);
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static int bind_to(const char *device, const char *driver)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/bind", driver);
	return write_text(path, device);
}

static void unbind(const char *device)
{
	char path[128];

	if (!driver_of(device)[0])
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/unbind", driver_of(device));
	EXPECT(0, write_text(path, device));
}

/* "" is none */
static void move_to(const char *device, const char *driver)
{
	unbind(device);
	set_override(device, driver);
	if (driver[0])
		EXPECT(0, bind_to(device, driver));
	EXPECT(0, strcmp(driver, driver_of(device)));
}

static void give_back(const char *device, const char *driver)
{
	unbind(device);
	set_override(device, "");
	if (driver[0])
		EXPECT(0, bind_to(device, driver));
}

/* The multifunction slot without host drivers. */
static void clear_slot(void)
{
	move_to(slot_nic, "");
	move_to(slot_nvme, "");
	move_to(slot_edu, "vfio-pci");
}

static void restore_slot(void)
{
	give_back(slot_edu, "");
	give_back(slot_nic, "e1000");
	give_back(slot_nvme, "nvme");
}

static void wait_driver(const char *device, const char *driver)
{
	/* Bound by a work item of the kernel's, which tells nobody that it has ended. */
	for (int i = 0; i < 2000 && strcmp(driver_of(device), driver); i++)
		usleep(10000);
	EXPECT(0, strcmp(driver_of(device), driver));
}

static int new_iommufd(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int open_cdev(const char *device)
{
	struct session session = { .address = device, .device = -1, .iommu = -1, .container = -1, .group = -1 };

	EXPECT(0, session_open_iommufd(&session));
	close(session.iommu);
	return session.device;
}

static int bind_iommufd(int device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };

	return ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0 ? -errno : 0;
}

/* ---- the cases ---- */

static void tells_what_it_can_do(void)
{
	uint64_t iommufd = access("/dev/iommu", F_OK) == 0 ? IOMMUD_FEATURE_IOMMUFD : 0;
	struct iommud_info info;

	EXPECT(0, kmod_info(node, &info));
	EXPECT(IOMMUD_ABI_VERSION, info.abi_version);
	EXPECT((long)sizeof(struct iommud_event), info.event_size);
	EXPECT(IOMMUD_FEATURE_PARK | IOMMUD_FEATURE_DENIAL | IOMMUD_FEATURE_SINGLETON | IOMMUD_FEATURE_LABELS |
		       IOMMUD_FEATURE_NODE_LABELS | iommufd,
	       (long)info.features);
}

static int raw(unsigned long command, const void *argument)
{
	return ioctl(node, command, argument) < 0 ? -errno : 0;
}

static void refuses_what_has_no_form(void)
{
	struct {
		struct iommud_info info;
		uint64_t later;
	} larger = { .info.size = sizeof(larger) };
	struct iommud_claim claim = { .size = sizeof(claim), .iommufd = -1, .bus = "pci" };
	struct iommud_query query = { .size = sizeof(query), .bus = "pci", .device = "0000:00:06.0", .reserved = 1 };
	int no_iommufd = features & IOMMUD_FEATURE_IOMMUFD ? -EBADF : -EOPNOTSUPP;

	EXPECT(0, raw(IOMMUD_IOC_INFO, &larger));
	larger.later = 1;
	larger.info = (struct iommud_info){ .size = sizeof(larger) };
	EXPECT(-E2BIG, raw(IOMMUD_IOC_INFO, &larger));
	larger.info = (struct iommud_info){ .size = sizeof(larger.info) - 1 };
	EXPECT(-EINVAL, raw(IOMMUD_IOC_INFO, &larger));
	larger.info = (struct iommud_info){ .size = sizeof(larger.info), .flags = 1 };
	EXPECT(-EINVAL, raw(IOMMUD_IOC_INFO, &larger));
	EXPECT(-EFAULT, raw(IOMMUD_IOC_INFO, NULL));
	EXPECT(-ENOTTY, raw(_IO(IOMMUD_IOC_TYPE, 0x7f), &larger));
	EXPECT(-EINVAL, raw(IOMMUD_IOC_CLAIM, &claim)); /* no device */
	memset(claim.device, 'x', sizeof(claim.device)); /* without an end */
	EXPECT(-EINVAL, raw(IOMMUD_IOC_CLAIM, &claim));
	EXPECT(-EINVAL, raw(IOMMUD_IOC_QUERY, &query));
	EXPECT(-ENODEV, kmod_claim(node, "0000:ff:1f.7", -1, 0, NULL, NULL));
	EXPECT(-EINVAL, kmod_claim(node, edu, -1, 1u << 31, NULL, NULL));
	EXPECT(-EINVAL, kmod_claim(node, edu, -2, 0, NULL, NULL));
	EXPECT(no_iommufd, kmod_claim(node, edu, 1000, 0, NULL, NULL));
	EXPECT(no_iommufd, kmod_claim(node, edu, node, 0, NULL, NULL));
	EXPECT(-EINVAL, kmod_claim(node, edu, -1, 0, NULL, ""));
}

static void only_its_context_gets_the_device(void)
{
	int mine = MUST(new_iommufd()), other = MUST(new_iommufd()), claim, device;

	move_to(edu, "vfio-pci");
	device = open_cdev(edu);
	claim = MUST(kmod_claim(node, edu, mine, 0, NULL, NULL));
	EXPECT(-EPERM, bind_iommufd(device, other));
	EXPECT(0, bind_iommufd(device, mine));
	/* Closing the claim leaves the group with its context, which has it by VFIO now. */
	close(claim);
	EXPECT(-EPERM, kmod_claim(node, edu, -1, 0, NULL, NULL));
	close(device);
	claim = MUST(kmod_claim(node, edu, -1, 0, NULL, NULL));
	close(claim);
	close(mine);
	close(other);
	give_back(edu, "");
}

static void parked_means_nobody(void)
{
	int iommufd = MUST(new_iommufd()), claim, device;

	move_to(edu, "vfio-pci");
	device = open_cdev(edu);
	claim = MUST(kmod_claim(node, edu, -1, 0, NULL, NULL));
	EXPECT(-EPERM, bind_iommufd(device, iommufd));
	EXPECT(-EPERM, kmod_claim(node, edu, iommufd, 0, NULL, NULL));
	close(claim);
	EXPECT(0, bind_iommufd(device, iommufd));
	close(device);
	close(iommufd);
	give_back(edu, "");
}

static void claims_all_members_or_none(void)
{
	int claim;

	clear_slot();
	give_back(slot_nic, "e1000");
	EXPECT(-EBUSY, kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	/* Nothing of it stayed: the third one's host driver still gets in. */
	give_back(slot_nvme, "nvme");
	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	EXPECT(-EBUSY, bind_to(slot_nic, "e1000"));
	EXPECT(-EBUSY, bind_to(slot_nvme, "nvme"));
	close(claim);
	restore_slot();
}

static void stub_may_come_and_others_may_not(void)
{
	struct iommud_event event;
	int claim;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	move_to(slot_nic, "pci-stub");
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_BOUND, &event));
	EXPECT(0, strcmp(event.device, slot_nic));
	EXPECT(0, strcmp(event.driver, "pci-stub"));
	close(claim);
	restore_slot();
}

/* iommud-manages-dma (tests/vm/modules) says that it leaves DMA alone, and nobody has allowed it. */
static void a_driver_nobody_allowed_is_taken_off(void)
{
	struct iommud_event event;
	int claim, all = MUST(kmod_events(node));

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	set_override(slot_nic, "managed-dma");
	EXPECT(0, bind_to(slot_nic, "managed-dma")); /* the kernel itself has nothing against it */
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_REFUSED, &event));
	EXPECT(0, strcmp(event.driver, "managed-dma"));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_UNBOUND, &event));
	EXPECT(0, strcmp(event.device, slot_nic));
	EXPECT(0, strcmp(driver_of(slot_nic), ""));
	EXPECT(0, kmod_wait_event(all, IOMMUD_EVENT_REFUSED, &event));
	close(claim);

	/* Bound before, it is in the way; named by the caller, it is not. */
	EXPECT(0, bind_to(slot_nic, "managed-dma"));
	EXPECT(-EBUSY, kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, "managed-dma"));
	EXPECT(0, strcmp(driver_of(slot_nic), "managed-dma"));
	close(claim);
	close(all);
	restore_slot();
}

static void naming_a_host_driver_does_not_help(void)
{
	clear_slot();
	give_back(slot_nic, "e1000");
	EXPECT(-EBUSY, kmod_claim(node, slot_edu, -1, 0, NULL, "e1000"));
	restore_slot();
}

static int set_container(const char *device, int *ret_container, int *ret_group)
{
	struct session session = { .address = device, .device = -1, .iommu = -1, .container = -1, .group = -1 };

	EXPECT(0, session_open_legacy(&session));
	*ret_container = session.container;
	*ret_group = session.group;
	if (ioctl(session.group, VFIO_GROUP_SET_CONTAINER, &session.container) < 0)
		return -errno;
	return 0;
}

static void legacy_takes_over_after_a_handoff(void)
{
	int claim, container, group;
	struct iommud_event event;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	EXPECT(-EPERM, set_container(slot_edu, &container, &group));
	close(group);
	close(container);
	EXPECT(0, kmod_handoff(claim));
	EXPECT(0, kmod_handoff(claim)); /* twice does no harm */
	/* Nobody owns the DMA now, and no host driver stays all the same. */
	EXPECT(0, bind_to(slot_nic, "e1000"));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_REFUSED, &event));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_UNBOUND, &event));
	EXPECT(0, set_container(slot_edu, &container, &group));
	EXPECT(0, ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT(-EBUSY, bind_to(slot_nic, "e1000"));
	close(group);
	close(container);
	close(claim);
	restore_slot();
}

static void parked_means_no_container_either(void)
{
	int claim, container, group;

	move_to(edu, "vfio-pci");
	claim = MUST(kmod_claim(node, edu, -1, 0, NULL, NULL));
	EXPECT(-EPERM, set_container(edu, &container, &group));
	close(group);
	close(container);
	EXPECT(-EPERM, kmod_claim(node, edu, -1, 0, NULL, NULL)); /* one nobody is not the other */
	close(claim);
	EXPECT(0, set_container(edu, &container, &group));
	EXPECT(-EPERM, kmod_claim(node, edu, -1, 0, NULL, NULL));
	close(group);
	close(container);
	give_back(edu, "");
}

static void denies_without_being_in_a_containers_way(void)
{
	int claim, container, group;
	struct iommud_event event;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, IOMMUD_CLAIM_DENY_ONLY, NULL, NULL));
	EXPECT(0, set_container(slot_edu, &container, &group));
	EXPECT(-EBUSY, bind_to(slot_nic, "e1000"));
	close(group);
	close(container);
	EXPECT(0, bind_to(slot_nic, "e1000"));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_REFUSED, &event));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_UNBOUND, &event));
	EXPECT(0, strcmp(event.device, slot_nic));
	close(claim);
	restore_slot();
}

static void denies_without_owning(void)
{
	int iommufd = MUST(new_iommufd()), claim, device;
	struct iommud_event event;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, IOMMUD_CLAIM_DENY_ONLY, NULL, NULL));
	EXPECT(-EINVAL, kmod_claim(node, slot_edu, iommufd, IOMMUD_CLAIM_DENY_ONLY, NULL, NULL));
	device = open_cdev(slot_edu);
	EXPECT(0, bind_iommufd(device, iommufd));
	close(device);
	EXPECT(0, bind_to(slot_nvme, "nvme"));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_REFUSED, &event));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_UNBOUND, &event));
	close(claim);
	close(iommufd);
	restore_slot();
}

static void a_group_has_one_label(void)
{
	int iommufd = MUST(new_iommufd()), all = MUST(kmod_events(node)), first, second;
	struct iommud_event event;
	char long_label[IOMMUD_LABEL_MAX + 2];

	move_to(edu, "vfio-pci");
	first = MUST(kmod_claim(node, edu, iommufd, 0, "tenant-a", NULL));
	EXPECT(-EXDEV, kmod_claim(node, edu, iommufd, 0, "tenant-b", NULL));
	EXPECT(-EXDEV, kmod_claim(node, edu, iommufd, 0, "tenant", NULL)); /* no prefixes */
	EXPECT(-EXDEV, kmod_claim(node, edu, iommufd, 0, NULL, NULL));
	EXPECT(0, kmod_wait_event(all, IOMMUD_EVENT_LABEL_REFUSED, &event));
	second = MUST(kmod_claim(node, edu, iommufd, 0, "tenant-a", NULL));
	close(first);
	EXPECT(-EXDEV, kmod_claim(node, edu, iommufd, 0, "tenant-b", NULL)); /* frozen until the last is back */
	close(second);
	close(MUST(kmod_claim(node, edu, iommufd, 0, "tenant-b", NULL)));
	memset(long_label, 'x', sizeof(long_label) - 1);
	long_label[sizeof(long_label) - 1] = '\0';
	EXPECT(-EINVAL, kmod_claim(node, edu, iommufd, 0, long_label, NULL));
	close(all);
	close(iommufd);
	give_back(edu, "");
}

/* As a container's claims have it, which do not own the DMA. */
static void a_denied_group_has_one_label(void)
{
	int all = MUST(kmod_events(node)), first, second;
	struct iommud_event event;

	clear_slot();
	first = MUST(kmod_claim(node, slot_edu, -1, IOMMUD_CLAIM_DENY_ONLY, "tenant-a", NULL));
	EXPECT(-EXDEV, kmod_claim(node, slot_nic, -1, IOMMUD_CLAIM_DENY_ONLY, "tenant-b", NULL));
	EXPECT(-EXDEV, kmod_claim(node, slot_nic, -1, 0, NULL, NULL));
	EXPECT(0, kmod_wait_event(all, IOMMUD_EVENT_LABEL_REFUSED, &event));
	EXPECT(0, strcmp(event.device, slot_nic));
	second = MUST(kmod_claim(node, slot_nic, -1, IOMMUD_CLAIM_DENY_ONLY, "tenant-a", NULL));
	close(first);
	EXPECT(-EXDEV, kmod_claim(node, slot_edu, -1, IOMMUD_CLAIM_DENY_ONLY, "tenant-b", NULL));
	close(second);
	close(MUST(kmod_claim(node, slot_edu, -1, IOMMUD_CLAIM_DENY_ONLY, "tenant-b", NULL)));
	close(all);
	restore_slot();
}

static void nodes_need_an_lsm(void)
{
	int32_t fds[] = { node };
	struct iommud_claim claim = {
		.size = sizeof(claim), .iommufd = -1, .n_nodes = 1, .nodes = (uintptr_t)fds, .bus = "pci"
	};

	strcpy(claim.device, edu);
	EXPECT(-EOPNOTSUPP, raw(IOMMUD_IOC_CLAIM, &claim));
	fds[0] = 1000;
	EXPECT(-EBADF, raw(IOMMUD_IOC_CLAIM, &claim));
}

/* A client that died must not keep its memory pinned through us. */
static void lets_go_of_an_iommufd_that_nobody_has(void)
{
	int iommufd = MUST(new_iommufd()), claim, device;
	struct iommud_event event;

	move_to(edu, "vfio-pci");
	device = open_cdev(edu);
	claim = MUST(kmod_claim(node, edu, iommufd, 0, NULL, NULL));
	EXPECT(0, bind_iommufd(device, iommufd));
	close(iommufd);
	close(device);
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_CONTEXT_GONE, &event));
	EXPECT(0, kmod_wait_hangup(claim));
	EXPECT(-ENODEV, kmod_handoff(claim));
	/* The group is free, although the claim's descriptor is open. */
	close(MUST(kmod_claim(node, edu, -1, 0, NULL, NULL)));
	close(claim);
	give_back(edu, "");
}

static void death_undoes_everything(void)
{
	int ready[2], status;
	pid_t child;
	char byte;

	move_to(edu, "vfio-pci");
	EXPECT(0, pipe(ready));
	child = fork();
	if (child == 0) {
		int claim = kmod_claim(node, edu, -1, 0, "the dead's", NULL);

		if (write(ready[1], claim < 0 ? "n" : "y", 1) == 1)
			pause();
		_exit(1);
	}
	EXPECT(1, read(ready[0], &byte, 1));
	EXPECT('y', byte);
	EXPECT(-EXDEV, kmod_claim(node, edu, -1, 0, "another", NULL));
	kill(child, SIGKILL);
	EXPECT(child, waitpid(child, &status, 0));
	close(MUST(kmod_claim(node, edu, -1, 0, "another", NULL)));
	close(ready[0]);
	close(ready[1]);
	give_back(edu, "");
}

/* Who has an unbound descriptor still can't use it, and the host's driver comes as soon as the device is unbound. */
static void given_back_it_is_nobodys_until_unbound(void)
{
	int iommufd = MUST(new_iommufd()), other = MUST(new_iommufd()), claim, device;
	struct iommud_event event;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, iommufd, 0, NULL, NULL));
	device = open_cdev(slot_edu);
	EXPECT(0, bind_iommufd(device, iommufd));
	EXPECT(0, kmod_give_back(claim)); /* the client has it still */
	EXPECT(-EALREADY, kmod_give_back(claim));
	close(iommufd);
	close(device);
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_PARKED, &event));
	device = open_cdev(slot_edu);
	EXPECT(-EPERM, bind_iommufd(device, other));
	EXPECT(-EBUSY, bind_to(slot_nic, "e1000"));
	close(device);
	unbind(slot_edu);
	EXPECT(0, bind_to(slot_nic, "e1000"));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_LET_GO, &event));
	EXPECT(0, kmod_wait_hangup(claim));
	EXPECT(-ENODEV, kmod_give_back(claim));
	close(claim);
	close(other);
	restore_slot();
}

static void given_back_and_idle_it_is_parked_at_once(void)
{
	int iommufd = MUST(new_iommufd()), other = MUST(new_iommufd()), claim, device;

	move_to(edu, "vfio-pci");
	device = open_cdev(edu);
	claim = MUST(kmod_claim(node, edu, iommufd, IOMMUD_CLAIM_SINGLETON, NULL, NULL));
	close(iommufd);
	EXPECT(1, kmod_give_back(claim));
	EXPECT(-EPERM, bind_iommufd(device, other));
	close(device);
	close(claim);
	close(other);
	give_back(edu, "");
}

/* While there is a container, it keeps what it has. */
static void given_back_after_a_container_it_is_parked(void)
{
	int claim, container, group;

	move_to(edu, "vfio-pci");
	claim = MUST(kmod_claim(node, edu, -1, 0, NULL, NULL));
	EXPECT(0, kmod_handoff(claim));
	EXPECT(0, set_container(edu, &container, &group));
	EXPECT(0, kmod_give_back(claim));
	close(group);
	close(container);
	close(claim);
	claim = MUST(kmod_claim(node, edu, -1, 0, NULL, NULL));
	EXPECT(0, kmod_handoff(claim));
	EXPECT(1, kmod_give_back(claim));
	EXPECT(-EPERM, set_container(edu, &container, &group));
	close(group);
	close(container);
	close(claim);
	give_back(edu, "");
}

/* All the ways by which the DMA of three goes to somebody and comes back: at the end each is the host's again. */
static void the_dma_of_a_group_of_three_comes_back(void)
{
	int claim, container, group;
	struct iommud_event event;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	EXPECT(0, kmod_handoff(claim));
	EXPECT(0, set_container(slot_edu, &container, &group));
	EXPECT(0, ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT(0, kmod_give_back(claim)); /* the container has it */
	close(group);
	close(container);
	unbind(slot_edu);
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_LET_GO, &event));
	EXPECT(0, kmod_wait_hangup(claim));
	EXPECT(0, bind_to(slot_nic, "e1000"));
	close(claim);

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	EXPECT(1, kmod_give_back(claim));
	EXPECT(-EPERM, set_container(slot_edu, &container, &group));
	close(group);
	close(container);
	EXPECT(-EBUSY, bind_to(slot_nic, "e1000"));
	EXPECT(-EBUSY, bind_to(slot_nvme, "nvme"));
	unbind(slot_edu);
	EXPECT(0, bind_to(slot_nic, "e1000"));
	EXPECT(0, bind_to(slot_nvme, "nvme"));
	close(claim);
	restore_slot();
}

static void tells_who_is_in_a_group(void)
{
	struct iommud_member members[8];
	struct iommud_query query;
	int claim;

	EXPECT(0, kmod_query(node, slot_nic, &query, members, 8));
	EXPECT(3, query.n_members);
	EXPECT(0, strcmp(members[0].device, slot_nic));
	EXPECT(0, strcmp(members[0].driver, "e1000"));
	EXPECT(0, members[0].flags);
	EXPECT(0, strcmp(members[2].driver, ""));
	EXPECT(0, kmod_query(node, slot_nic, &query, members, 1));
	EXPECT(3, query.n_members);
	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	EXPECT(0, kmod_query(node, slot_nic, &query, members, 8));
	EXPECT(IOMMUD_GROUP_OWNED | IOMMUD_GROUP_CLAIMED, query.group_flags);
	EXPECT(IOMMUD_MEMBER_MANAGES_DMA | IOMMUD_MEMBER_BUILTIN_ALLOWED, members[2].flags);
	close(claim);
	restore_slot();
}

static void a_singleton_is_one_device_on_an_allowed_driver(void)
{
	int claim;

	EXPECT(-EBUSY, kmod_claim(node, edu, -1, IOMMUD_CLAIM_SINGLETON, NULL, NULL)); /* no driver */
	move_to(edu, "vfio-pci");
	claim = MUST(kmod_claim(node, edu, -1, IOMMUD_CLAIM_SINGLETON, NULL, NULL));
	close(claim);
	give_back(edu, "");
	clear_slot();
	EXPECT(-EBUSY, kmod_claim(node, slot_edu, -1, IOMMUD_CLAIM_SINGLETON, NULL, NULL));
	restore_slot();
}

static void remove_device(const char *device)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", device);
	EXPECT(0, write_text(path, "1"));
}

/* All members go, and come back in another group: the slot is locked still. */
static void the_lock_is_not_escaped_by_a_rescan(void)
{
	struct iommud_event event;
	char override[64];
	int claim;

	unbind(nic);
	move_to(nic, "vfio-pci");
	claim = MUST(kmod_claim(node, nic, -1, IOMMUD_CLAIM_SINGLETON, NULL, NULL));
	remove_device(nic);
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_REMOVED, &event));
	EXPECT(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_ADDED, &event));
	EXPECT(0, strcmp(event.device, nic));
	EXPECT(0, strcmp(driver_of(nic), "")); /* rescan has probed it by now */
	read_override(nic, override, sizeof(override));
	EXPECT(0, strcmp(override, "iommud-denied"));
	/* Not by hand either. */
	set_override(nic, "e1000e");
	EXPECT(-EBUSY, bind_to(nic, "e1000e"));
	set_override(nic, "iommud-denied");
	close(claim);
	/* What was denied is taken back, if it is ours still, and the driver comes that would have come. */
	wait_driver(nic, "e1000e");
	read_override(nic, override, sizeof(override));
	EXPECT(0, strcmp(override, "(null)"));
}

static void a_joiner_gets_no_driver(void)
{
	struct iommud_event event;
	int claim;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	remove_device(slot_nic);
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_REMOVED, &event));
	EXPECT(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_ADDED, &event));
	EXPECT(0, strcmp(event.device, slot_nic));
	EXPECT(0, strcmp(driver_of(slot_nic), ""));
	set_override(slot_nic, "e1000");
	EXPECT(-EBUSY, bind_to(slot_nic, "e1000"));
	close(claim);
	set_override(slot_nic, "");
	restore_slot();
}

/* Whichever member goes: the others stay claimed, and are let go with the claim. */
static void what_stays_of_a_group_stays_claimed(void)
{
	const char *leaving[] = { slot_nic, slot_nvme };
	const char *staying[] = { slot_nvme, slot_nic };
	const char *drivers[] = { "nvme", "e1000" };
	struct iommud_event event;
	int claim, container, group;

	for (size_t i = 0; i < 2; i++) {
		clear_slot();
		claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
		remove_device(leaving[i]);
		EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_REMOVED, &event));
		EXPECT(-EBUSY, bind_to(staying[i], drivers[i]));
		EXPECT(-EPERM, set_container(slot_edu, &container, &group));
		close(group);
		close(container);
		close(claim);
		EXPECT(0, bind_to(staying[i], drivers[i]));
		EXPECT(0, write_text("/sys/bus/pci/rescan", "1"));
		restore_slot();
	}
}

/* Who comes back then is in a group of its own, which nobody has claimed. */
static void a_group_that_went_is_let_go(void)
{
	struct iommud_event event;
	int claim;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	remove_device(slot_nic);
	remove_device(slot_nvme);
	remove_device(slot_edu);
	for (int i = 0; i < 3; i++)
		EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_REMOVED, &event));
	EXPECT(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT(0, strcmp(driver_of(slot_nic), "e1000"));
	EXPECT(0, strcmp(driver_of(slot_nvme), "nvme"));
	close(claim);
	restore_slot();
}

static void a_joiner_gets_its_driver_afterwards(void)
{
	struct iommud_event event;
	int claim;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	remove_device(slot_nic);
	EXPECT(0, write_text("/sys/bus/pci/rescan", "1"));
	EXPECT(0, kmod_wait_event(claim, IOMMUD_EVENT_ADDED, &event));
	EXPECT(0, strcmp(driver_of(slot_nic), ""));
	close(claim);
	wait_driver(slot_nic, "e1000");
	restore_slot();
}

static void an_overflow_is_told(void)
{
	struct iommud_event event;
	unsigned int n = 0, lost = 0;
	uint64_t sequence = 0;
	int claim;

	clear_slot();
	claim = MUST(kmod_claim(node, slot_edu, -1, 0, NULL, NULL));
	set_override(slot_nic, "pci-stub");
	for (int i = 0; i < 50; i++) {
		EXPECT(0, bind_to(slot_nic, "pci-stub"));
		unbind(slot_nic);
	}
	EXPECT(0, fcntl(claim, F_SETFL, O_NONBLOCK));
	while (read(claim, &event, sizeof(event)) == sizeof(event)) {
		EXPECT((long)++sequence, (long)event.sequence);
		if (event.type == IOMMUD_EVENT_OVERFLOW)
			lost += event.count;
		else
			n++;
	}
	EXPECT(EAGAIN, errno);
	EXPECT(100, n + lost);
	EXPECT(true, lost > 0);
	EXPECT(-1, read(claim, &event, 1)); /* a record or nothing */
	EXPECT(EINVAL, errno);
	close(claim);
	restore_slot();
}

static const struct {
	const char *name;
	void (*run)(void);
	uint64_t needs; /* enum iommud_feature */
} cases[] = {
#define CASE_WITH(name, needs)     \
	{                          \
#name, name, needs \
	}
#define CASE(name) CASE_WITH(name, 0)
	CASE(tells_what_it_can_do),
	CASE(refuses_what_has_no_form),
	CASE_WITH(only_its_context_gets_the_device, IOMMUD_FEATURE_IOMMUFD),
	CASE_WITH(parked_means_nobody, IOMMUD_FEATURE_IOMMUFD),
	CASE(parked_means_no_container_either),
	CASE(claims_all_members_or_none),
	CASE(stub_may_come_and_others_may_not),
	CASE(a_driver_nobody_allowed_is_taken_off),
	CASE(naming_a_host_driver_does_not_help),
	CASE(legacy_takes_over_after_a_handoff),
	CASE(denies_without_being_in_a_containers_way),
	CASE_WITH(denies_without_owning, IOMMUD_FEATURE_IOMMUFD),
	CASE_WITH(a_group_has_one_label, IOMMUD_FEATURE_IOMMUFD),
	CASE(a_denied_group_has_one_label),
	CASE(nodes_need_an_lsm),
	CASE_WITH(lets_go_of_an_iommufd_that_nobody_has, IOMMUD_FEATURE_IOMMUFD),
	CASE(death_undoes_everything),
	CASE_WITH(given_back_it_is_nobodys_until_unbound, IOMMUD_FEATURE_IOMMUFD),
	CASE_WITH(given_back_and_idle_it_is_parked_at_once, IOMMUD_FEATURE_IOMMUFD),
	CASE(given_back_after_a_container_it_is_parked),
	CASE(the_dma_of_a_group_of_three_comes_back),
	CASE(tells_who_is_in_a_group),
	CASE(a_singleton_is_one_device_on_an_allowed_driver),
	CASE(the_lock_is_not_escaped_by_a_rescan),
	CASE(a_joiner_gets_no_driver),
	CASE(a_joiner_gets_its_driver_afterwards),
	CASE(what_stays_of_a_group_stays_claimed),
	CASE(a_group_that_went_is_let_go),
	CASE(an_overflow_is_told),
};

/* "abi 1: park denial ..." */
static void tell_features(void)
{
	static const char *const names[] = { "park", "iommufd", "denial", "singleton", "labels", "node-labels" };
	struct iommud_info info;

	EXPECT(0, kmod_info(node, &info));
	features = info.features;
	printf("abi %u:", info.abi_version);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (features & 1u << i)
			printf(" %s", names[i]);
	puts("");
}

int main(void)
{
	edu = getenv("EDU");
	nic = getenv("NIC");
	slot_nic = getenv("MF_NIC");
	slot_nvme = getenv("MF_NVME");
	slot_edu = getenv("MF_EDU");
	node = MUST(kmod_open());
	tell_features();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].needs & ~features) {
			printf("left out: %s\n", cases[i].name);
			continue;
		}
		cases[i].run();
		printf("%s\n", cases[i].name);
		fflush(stdout);
	}
	return 0;
}
