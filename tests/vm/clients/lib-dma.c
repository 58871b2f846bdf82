/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lib-dma ADDRESS BACKEND: a driver in user space as its author would write it, with libiommud.
 *
 * Acquires the edu device, has it copy a page there and back through the IOMMU within this process, gives the lease
 * back by Release, and makes sure that it can't do so twice. Exit status: 0 it all worked, 1 it did not, 3 refused.
 */
#include <libiommud.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

/* What the connection says about the last call, for 1 and 3. */
static int give_up(struct iommud *connection, const char *what, int result)
{
	if (result != IOMMUD_REFUSED) {
		fprintf(stderr, "lib-dma: %s: %s\n", what, strerror(-result));
		return 1;
	}
	printf("refused: %s: %s\n", iommud_error_name(connection), iommud_error_message(connection));
	return 3;
}

static struct session session_of(struct iommud_lease *lease)
{
	return (struct session){
		.address = iommud_lease_device_address(lease, 0),
		.device = iommud_lease_take_device_fd(lease, 0),
		.iommu = iommud_lease_take_iommu_fd(lease),
		.container = iommud_lease_take_container_fd(lease),
		.group = iommud_lease_take_group_fd(lease, 0),
	};
}

static void session_close(const struct session *session)
{
	const int fds[] = { session->device, session->group, session->container, session->iommu };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int do_dma(struct iommud_lease *lease)
{
	struct session session = session_of(lease);
	size_t bytes = 0;
	int r = session_setup(&session);

	if (r == 0)
		r = edu_dma(&session, &bytes);
	session_close(&session);
	if (r == 0)
		printf("lease %llu by %s, DMA ok: %zu bytes\n", (unsigned long long)iommud_lease_id(lease),
		       iommud_lease_backend(lease), bytes);
	return r;
}

/* Once more must be refused: the number is nobody's. */
static int release_twice(struct iommud *connection, uint64_t id)
{
	int r = iommud_release(connection, id);

	if (r != 0)
		return give_up(connection, "release", r);
	if (iommud_release(connection, id) != IOMMUD_REFUSED ||
	    iommud_error(connection) != IOMMUD_ERROR_NO_SUCH_LEASE) {
		fputs("lib-dma: a lease could be released twice\n", stderr);
		return 1;
	}
	puts("released");
	return 0;
}

static int use(struct iommud *connection, const char *address, const char *backend)
{
	const char *const devices[] = { address };
	struct iommud_request request;
	struct iommud_lease *lease;
	uint64_t id;
	int r;

	memset(&request, 0, sizeof(request));
	request.size = sizeof(request);
	request.devices = devices;
	request.n_devices = 1;
	request.backend = backend;
	r = iommud_acquire(connection, &request, &lease);
	if (r != 0)
		return give_up(connection, "acquire", r);
	id = iommud_lease_id(lease);
	r = do_dma(lease);
	iommud_lease_free(lease);
	return r < 0 ? 1 : release_twice(connection, id);
}

int main(int argc, char **argv)
{
	struct iommud *connection;
	int r;

	if (argc != 3) {
		fputs("lib-dma ADDRESS iommufd|legacy\n", stderr);
		return 2;
	}
	r = iommud_open(NULL, &connection);
	if (r < 0) {
		fprintf(stderr, "lib-dma: iommud: %s\n", strerror(-r));
		return 1;
	}
	r = use(connection, argv[1], argv[2]);
	iommud_close(connection);
	return r;
}
