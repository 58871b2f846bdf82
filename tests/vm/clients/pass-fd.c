/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pass-fd: a device's descriptor in the hands of a process that no lease was ever given to.
 *
 *   pass-fd SOCKET N              passes the open fd N to whoever listens there
 *   pass-fd --take SOCKET IOMMU   makes SOCKET, takes one fd, and says "taken"
 *
 * With each line that it reads, the second tries to bind the device to its own iommufd, which it has from a lease of another
 * device, and says "bound" or the error by name. It ends with its stdin.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "vfio-abi.h"

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

/* One byte, and with it the room for one descriptor. */
struct parcel {
	struct msghdr message;
	struct iovec data;
	char byte;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
};

static struct cmsghdr *parcel_make(struct parcel *parcel)
{
	memset(parcel, 0, sizeof(*parcel));
	parcel->data = (struct iovec){ .iov_base = &parcel->byte, .iov_len = 1 };
	parcel->message = (struct msghdr){ .msg_iov = &parcel->data,
					   .msg_iovlen = 1,
					   .msg_control = &parcel->control,
					   .msg_controllen = sizeof(parcel->control) };
	return CMSG_FIRSTHDR(&parcel->message);
}

static int pass(const char *path, int fd)
{
	struct sockaddr_un address = address_of(path);
	int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct parcel parcel;
	struct cmsghdr *header = parcel_make(&parcel);

	*header =
		(struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(fd)) };
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    sendmsg(connection, &parcel.message, 0) != 1)
		return say_error("pass %d to %s: %s", fd, path, strerror(errno));
	/* It has it when it closes. */
	return read(connection, &parcel.byte, 1) == 0 ? 0 : say_error("%s did not take it", path);
}

/* The descriptor that the first client brings. */
static int take(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), connection, fd;
	struct parcel parcel;
	struct cmsghdr *header = parcel_make(&parcel);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || chmod(path, 0666) < 0 ||
	    listen(listener, 1) < 0)
		return say_error("%s: %s", path, strerror(errno));
	puts("listening");
	fflush(stdout);
	connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (connection < 0 || recvmsg(connection, &parcel.message, MSG_CMSG_CLOEXEC) != 1 ||
	    header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(fd)))
		return say_error("no descriptor came by %s", path);
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	close(connection);
	close(listener);
	puts("taken");
	fflush(stdout);
	return fd;
}

static void try_to_bind(int device, int iommu)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu };

	puts(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0 ? strerrorname_np(errno) : "bound");
	fflush(stdout);
}

static int keep(const char *path, int iommu)
{
	int device = take(path);
	char line[16];

	if (device < 0)
		return -1;
	while (fgets(line, sizeof(line), stdin))
		try_to_bind(device, iommu);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "--take") == 0)
		return keep(argv[2], atoi(argv[3])) < 0;
	if (argc == 3)
		return pass(argv[1], atoi(argv[2])) < 0;
	fputs("pass-fd SOCKET N, or pass-fd --take SOCKET IOMMU\n", stderr);
	return 2;
}
