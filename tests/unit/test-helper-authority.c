/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is a client of ours, and which devices nobody gets: real sockets, facts and decisions of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/authority.h"

struct sockets {
	char dir[64];
	char path[96];
	int listener;
	int client;
	int accepted;
};

static int listen_at(const char *path, int type)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	if (type != SOCK_DGRAM)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int connect_to(const char *path, int type)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static int set_up(void **state)
{
	struct sockets *sockets = calloc(1, sizeof(*sockets));

	strcpy(sockets->dir, "/tmp/iommud-authority-XXXXXX");
	if (!mkdtemp(sockets->dir))
		return -1;
	snprintf(sockets->path, sizeof(sockets->path), "%s/io.iommud", sockets->dir);
	sockets->listener = listen_at(sockets->path, SOCK_STREAM);
	sockets->client = connect_to(sockets->path, SOCK_STREAM);
	sockets->accepted = accept4(sockets->listener, NULL, NULL, SOCK_CLOEXEC);
	*state = sockets;
	return sockets->accepted < 0;
}

static int tear_down(void **state)
{
	struct sockets *sockets = *state;

	close(sockets->listener);
	close(sockets->client);
	close(sockets->accepted);
	unlink(sockets->path);
	rmdir(sockets->dir);
	free(sockets);
	return 0;
}

/* What the fake policy says, and what it was asked. */
static struct policy_decision next_decision;
static struct device_id asked_id;
static char asked_driver[DEVICE_DRIVER_MAX];
static char asked_physical_function[DEVICE_ADDRESS_MAX];
static uid_t asked_uid;
static unsigned int n_asked;

static void decide(const struct policy *policy, const struct policy_subject *subject, const struct identity *client,
		   struct policy_decision *ret)
{
	n_asked++;
	asked_id = *subject->id;
	snprintf(asked_driver, sizeof(asked_driver), "%s", subject->driver);
	snprintf(asked_physical_function, sizeof(asked_physical_function), "%s", subject->physical_function);
	asked_uid = client->uid;
	*ret = next_decision;
}

static const struct device_state device = {
	.bus = "pci",
	.id = { .address = "0000:00:01.0", .vendor = 0x8086, .device = 0x10d3, .class = 0x020000 },
	.driver = "e1000e",
	.physical_function = "0000:00:02.0"
};

/* As the helper's worker does it. */
static void judge_fd(const struct authority *authority, int fd, const struct authority_device *wanted,
		     const struct authority_device *bystander, struct authority_answer *ret)
{
	struct identity client = IDENTITY_INIT;

	if (authority_identify(authority, fd, &client, ret))
		authority_judge(authority, &client, wanted, bystander, ret);
	identity_clear(&client);
}

static struct authority_answer judge(const struct sockets *sockets, int fd, const struct device_facts *facts)
{
	const struct authority authority = { .decide = decide, .client_socket = sockets->path };
	struct authority_answer answer;

	n_asked = 0;
	judge_fd(&authority, fd, &(struct authority_device){ &device, facts, NULL }, NULL, &answer);
	return answer;
}

static const struct device_facts pair_facts = { .group = "6", .group_size = 2 };

static struct authority_answer judge_parking(const struct sockets *sockets, const struct device_state *bystander,
					     const struct device_facts *facts)
{
	const struct authority authority = { .decide = decide, .client_socket = sockets->path };
	struct authority_answer answer;

	n_asked = 0;
	judge_fd(&authority, sockets->accepted, &(struct authority_device){ &device, &pair_facts, NULL },
		 &(struct authority_device){ bystander, facts, NULL }, &answer);
	return answer;
}

static void allow(enum policy_scope scope)
{
	next_decision =
		(struct policy_decision){ .action = POLICY_ALLOW, .scope = scope, .file = "10.policy", .line = 3 };
}

static void allows_what_the_policy_allows(void **state)
{
	const struct device_facts facts = { .group_size = 1 };
	const struct sockets *sockets = *state;

	allow(POLICY_SINGLETON);
	assert_int_equal(judge(sockets, sockets->accepted, &facts).status, HELPER_OK);
	assert_int_equal(n_asked, 1);
	assert_string_equal(asked_physical_function, "0000:00:02.0");
	assert_memory_equal(&asked_id, &device.id, sizeof(asked_id));
	assert_string_equal(asked_driver, "e1000e");
	assert_int_equal(asked_uid, geteuid());
}

static void force_is_the_rules(void **state)
{
	const struct device_facts facts = { .group_size = 1 };
	const struct sockets *sockets = *state;

	allow(POLICY_SINGLETON);
	assert_false(judge(sockets, sockets->accepted, &facts).force);
	next_decision.force = true;
	assert_true(judge(sockets, sockets->accepted, &facts).force);
	/* And of a rule that allows. */
	next_decision.action = POLICY_DENY;
	assert_false(judge(sockets, sockets->accepted, &facts).force);
}

static void what_becomes_of_a_reset_is_the_rules(void **state)
{
	const struct device_facts facts = { .group_size = 1 };
	const struct sockets *sockets = *state;

	allow(POLICY_SINGLETON);
	for (int reset = POLICY_RESET_PREFER; reset <= POLICY_RESET_NO; reset++) {
		next_decision.conduct.reset = reset;
		assert_int_equal(judge(sockets, sockets->accepted, &facts).reset, reset);
	}
}

static void refuses_what_the_policy_denies_and_says_why(void **state)
{
	const struct device_facts facts = { .group_size = 1 };
	const struct sockets *sockets = *state;
	struct authority_answer answer;

	next_decision = (struct policy_decision){ .reason = "denied by 10.policy:7" };
	answer = judge(sockets, sockets->accepted, &facts);
	assert_int_equal(answer.status, HELPER_REFUSED);
	assert_non_null(strstr(answer.reason, "0000:00:01.0"));
	assert_non_null(strstr(answer.reason, "denied by 10.policy:7"));
}

static void a_singleton_rule_gives_no_part_of_a_group(void **state)
{
	const struct device_facts facts = { .group_size = 2 };
	const struct sockets *sockets = *state;
	struct authority_answer answer;

	allow(POLICY_SINGLETON);
	answer = judge(sockets, sockets->accepted, &facts);
	assert_int_equal(answer.status, HELPER_REFUSED);
	assert_non_null(strstr(answer.reason, "10.policy:3"));
	allow(POLICY_WHOLE);
	assert_int_equal(judge(sockets, sockets->accepted, &facts).status, HELPER_OK);
}

static void some_devices_no_rule_can_give(void **state)
{
	static const struct device_facts facts[] = { { .group_size = 1, .bridge = true },
						     { .group_size = 0 },
						     { .group_size = 1, .no_iommu = true } };
	const struct sockets *sockets = *state;

	allow(POLICY_WHOLE);
	for (size_t i = 0; i < 3; i++) {
		struct authority_answer answer = judge(sockets, sockets->accepted, &facts[i]);

		assert_int_equal(answer.status, HELPER_REFUSED);
		assert_int_equal(n_asked, 0);
		assert_true(answer.reason[0]);
	}
}

static struct device_state neighbour(const char *driver)
{
	struct device_state state = { .bus = "pci",
				      .id = { .address = "0000:00:01.1", .vendor = 0x1b36, .class = 0x010802 } };

	strcpy(state.driver, driver);
	return state;
}

static void allow_parking(void)
{
	allow(POLICY_WHOLE);
	next_decision.bystanders = POLICY_PARK;
}

/* Asked about the device that the client gets, never about the bystander, which no rule need name. */
static void parks_a_bystander_of_what_the_client_may_have(void **state)
{
	const struct device_state bystander = neighbour("nvme"), idle = neighbour("");

	allow_parking();
	assert_int_equal(judge_parking(*state, &bystander, &pair_facts).status, HELPER_OK);
	assert_int_equal(n_asked, 1);
	assert_string_equal(asked_id.address, device.id.address);
	assert_string_equal(asked_driver, "e1000e");
	assert_int_equal(judge_parking(*state, &idle, &pair_facts).status, HELPER_OK);
}

static void refuse_parking(const struct sockets *sockets, const char *driver, const struct device_facts *facts,
			   const char *said)
{
	const struct device_state bystander = neighbour(driver);
	struct authority_answer answer = judge_parking(sockets, &bystander, facts);

	assert_int_equal(answer.status, HELPER_REFUSED);
	if (!strstr(answer.reason, said))
		fail_msg("'%s' is not in: %s", said, answer.reason);
}

static void parks_nothing_without_a_rule_that_says_so(void **state)
{
	allow(POLICY_WHOLE);
	refuse_parking(*state, "nvme", &pair_facts, "10.policy:3 lacks Bystanders=park");
	allow_parking();
	next_decision.scope = POLICY_SINGLETON;
	refuse_parking(*state, "nvme", &pair_facts, "GroupScope=singleton");
	next_decision = (struct policy_decision){ .reason = "denied by 10.policy:7", .bystanders = POLICY_PARK };
	refuse_parking(*state, "nvme", &pair_facts, "denied by 10.policy:7");
}

static void parks_no_bridge_no_stranger_and_nothing_on_vfio(void **state)
{
	static const struct device_facts bridge = { .group = "6", .group_size = 2, .bridge = true };
	static const struct device_facts stranger = { .group = "7", .group_size = 2 };
	static const struct device_facts loose = { .group_size = 0 };

	allow_parking();
	refuse_parking(*state, "pcieport", &bridge, "bridge");
	refuse_parking(*state, "nvme", &stranger, "no bystander");
	refuse_parking(*state, "nvme", &loose, "no bystander");
	refuse_parking(*state, "vfio-pci", &pair_facts, "may be somebody's");
	refuse_parking(*state, "mlx5_vfio_pci", &pair_facts, "may be somebody's");
}

/* They would be lost with its driver, and nothing would bring them back. */
static void nothing_with_virtual_functions_leaves_its_driver(void **state)
{
	static const struct device_facts alone = { .group = "6", .group_size = 1, .has_virtual_functions = true };
	static const struct device_facts member = { .group = "6", .group_size = 2, .has_virtual_functions = true };
	const struct sockets *sockets = *state;
	const struct authority authority = { .decide = decide, .client_socket = sockets->path };
	const struct device_state bystander = neighbour("nvme");
	struct authority_answer answer;

	allow_parking();
	answer = judge(sockets, sockets->accepted, &alone);
	assert_int_equal(answer.status, HELPER_REFUSED);
	assert_non_null(strstr(answer.reason, "set its sriov_numvfs to 0 first"));
	refuse_parking(sockets, "nvme", &member, "0000:00:01.1 has virtual functions");
	/* One that has some, and is leased, is no reason for its bystanders to stay. */
	judge_fd(&authority, sockets->accepted, &(struct authority_device){ &device, &member, NULL },
		 &(struct authority_device){ &bystander, &pair_facts, NULL }, &answer);
	assert_int_equal(answer.status, HELPER_OK);
}

static void parks_pci_devices_only(void **state)
{
	struct device_state bystander = neighbour("nvme");
	struct authority_answer answer;

	allow_parking();
	strcpy(bystander.bus, "platform");
	answer = judge_parking(*state, &bystander, &pair_facts);
	assert_int_equal(answer.status, HELPER_REFUSED);
	assert_non_null(strstr(answer.reason, "no PCI device"));
}

/* Whatever a rule says: of an mdev with settings, or of a parent with mdevs, something would be lost. */
static void refuses_what_can_not_be_given_back(void **state)
{
	const struct device_facts facts = { .group = "6", .group_size = 1, .obstacle = "it is a parent" };
	const struct sockets *sockets = *state;
	struct authority_answer answer;

	allow(POLICY_WHOLE);
	answer = judge(sockets, sockets->accepted, &facts);
	assert_int_equal(answer.status, HELPER_REFUSED);
	assert_non_null(strstr(answer.reason, "can't be handed out: it is a parent"));
	allow_parking();
	refuse_parking(sockets, "nvme", &facts, "can't be parked: it is a parent");
}

static void a_client_that_left_is_still_known(void **state)
{
	const struct device_facts facts = { .group_size = 1 };
	struct sockets *sockets = *state;

	close(sockets->client);
	sockets->client = -1;
	allow(POLICY_SINGLETON);
	assert_int_equal(judge(sockets, sockets->accepted, &facts).status, HELPER_OK);
}

static void refuse_socket(const struct sockets *sockets, int fd)
{
	const struct device_facts facts = { .group_size = 1 };

	allow(POLICY_WHOLE);
	assert_int_equal(authority_check_socket(fd, sockets->path), -EPERM);
	assert_int_equal(judge(sockets, fd, &facts).status, HELPER_BAD_REQUEST);
	assert_int_equal(n_asked, 0);
}

static void refuses_what_is_no_accepted_socket_of_ours(void **state)
{
	const struct sockets *sockets = *state;
	int pair[2], fd;

	refuse_socket(sockets, sockets->client);
	refuse_socket(sockets, sockets->listener);
	refuse_socket(sockets, -1);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	refuse_socket(sockets, fd);
	close(fd);
	for (int i = 0; i < 3; i++) {
		static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

		assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, pair), 0);
		refuse_socket(sockets, pair[0]);
		close(pair[0]);
		close(pair[1]);
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		refuse_socket(sockets, fd);
	close(fd);
}

/*
 * It has the name that is asked for, as one made in another mount namespace would have ours; but it was not accepted, and
 * the credentials it shows are of who listens where it connected to.
 */
static void refuses_a_bound_socket_that_connected_itself(void **state)
{
	struct sockets *sockets = *state;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char ours[96], other[96];
	int listener, fd;

	snprintf(ours, sizeof(ours), "%s/ours", sockets->dir);
	snprintf(other, sizeof(other), "%s/other", sockets->dir);
	listener = listen_at(other, SOCK_STREAM);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", ours);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(authority_check_socket(fd, ours), -EPERM);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", other);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(authority_check_socket(fd, ours), -EPERM);
	close(fd);
	close(listener);
	unlink(other);
	unlink(ours);
}

static void refuses_abstract_and_longer_names(void **state)
{
	struct sockets *sockets = *state;
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client, accepted;
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(sockets->path);

	memcpy(name.sun_path + 1, sockets->path, strlen(sockets->path));
	assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&name, size), 0);
	accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	refuse_socket(sockets, accepted);
	close(accepted);
	close(client);
	close(listener);
	assert_int_equal(authority_check_socket(sockets->accepted, "/io.iommud"), -EPERM);
	assert_int_equal(authority_check_socket(sockets->accepted, ""), -EPERM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(allows_what_the_policy_allows),
		TEST(force_is_the_rules),
		TEST(what_becomes_of_a_reset_is_the_rules),
		TEST(refuses_what_the_policy_denies_and_says_why),
		TEST(a_singleton_rule_gives_no_part_of_a_group),
		TEST(some_devices_no_rule_can_give),
		TEST(parks_a_bystander_of_what_the_client_may_have),
		TEST(parks_nothing_without_a_rule_that_says_so),
		TEST(parks_no_bridge_no_stranger_and_nothing_on_vfio),
		TEST(nothing_with_virtual_functions_leaves_its_driver),
		TEST(parks_pci_devices_only),
		TEST(refuses_what_can_not_be_given_back),
		TEST(a_client_that_left_is_still_known),
		TEST(refuses_what_is_no_accepted_socket_of_ours),
		TEST(refuses_a_bound_socket_that_connected_itself),
		TEST(refuses_abstract_and_longer_names),
	};

	return cmocka_run_group_tests_name("helper-authority", tests, NULL, NULL);
}
