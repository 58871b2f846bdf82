/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the listener is told, fact by fact, and that the same line goes to the log at the priority that was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/internal.h"
#include "util/cleanup.h"
#include "util/log.h"

/* What is there only during the call is copied. */
static struct {
	unsigned int n;
	struct broker_event event;
	char device[64], driver[64], label[64], message[600];
} heard;

static void copy(char *target, size_t size, const char *text)
{
	snprintf(target, size, "%s", text ? text : "(null)");
}

static void hear(void *userdata, const struct broker_event *event)
{
	assert_ptr_equal(userdata, &heard);
	heard.n++;
	heard.event = *event;
	copy(heard.device, sizeof(heard.device), event->device);
	copy(heard.driver, sizeof(heard.driver), event->driver);
	copy(heard.label, sizeof(heard.label), event->label);
	copy(heard.message, sizeof(heard.message), event->message);
}

static struct broker listening(void)
{
	memset(&heard, 0, sizeof(heard));
	log_init("test", -1);
	return (struct broker){ .event = hear, .userdata = &heard };
}

static void events_are_counted(void **state)
{
	struct broker broker = listening();

	for (uint64_t i = 1; i <= 3; i++) {
		event_publish(&broker, LOG_INFO, (struct broker_event){ .name = "n", .message = "m", .sequence = 77 });
		assert_int_equal(heard.event.sequence, i);
	}
	broker.event = NULL; /* nobody listens: they count all the same */
	event_publish(&broker, LOG_INFO, (struct broker_event){ .name = "n", .message = "m" });
	assert_int_equal(broker.last_sequence, 4);
	assert_int_equal(heard.n, 3);
}

static void an_event_of_a_lease_says_whose_and_what(void **state)
{
	struct broker broker = listening();
	struct lease *lease = lease_new(&broker, 2, 0);

	assert_non_null(lease);
	lease->id = 9;
	lease->uid = 1000;
	lease->label = strdup("red");
	strcpy(lease->devices[0]->id.address, "0000:01:00.0");
	lease->devices[0]->group = 4;
	event_lease(lease, LOG_INFO, "leaseGranted", "lease %d of %s", 9, "somebody");
	assert_string_equal(heard.event.name, "leaseGranted");
	assert_string_equal(heard.device, "0000:01:00.0");
	assert_int_equal(heard.event.group, 4);
	assert_int_equal(heard.event.lease, 9);
	assert_int_equal(heard.event.uid, 1000);
	assert_string_equal(heard.label, "red");
	assert_string_equal(heard.driver, "(null)");
	assert_int_equal(heard.event.viable, -1);
	assert_string_equal(heard.message, "lease 9 of somebody");
	lease_free(lease);
}

static void an_event_of_a_lease_without_client_and_devices(void **state)
{
	struct broker broker = listening();
	struct lease *lease = lease_new(&broker, 0, 0);

	event_lease(lease, LOG_INFO, "leaseRecovered", "m");
	assert_string_equal(heard.device, "(null)");
	assert_int_equal(heard.event.group, -1);
	assert_int_equal(heard.event.uid, -1);
	assert_string_equal(heard.label, "(null)");
	lease_free(lease);
}

static void an_event_of_a_device(void **state)
{
	struct broker broker = listening();
	struct group group = { .id = 0 };
	struct device device = { .group = &group, .id.address = "0000:02:00.0", .driver = "nvme" };

	event_device(&broker, LOG_INFO, "driverBound", &device, "%s", "m");
	assert_string_equal(heard.device, "0000:02:00.0");
	assert_string_equal(heard.driver, "nvme");
	assert_int_equal(heard.event.group, 0);
	assert_int_equal(heard.event.lease, -1);
	assert_int_equal(heard.event.uid, -1);
	device.driver[0] = '\0';
	event_device(&broker, LOG_INFO, "driverUnbound", &device, "m");
	assert_string_equal(heard.driver, "(null)");
}

static void a_refusal_is_an_event_of_who_asked(void **state)
{
	struct broker broker = listening();
	struct identity bob = { .uid = 1001, .pidfd = -1 };
	struct refusal refusal = { .group = 3, .device = "0000:03:00.0" };

	refusal_set(&refusal, REFUSAL_DENIED, "no");
	event_denied(&broker, &bob, &refusal);
	assert_string_equal(heard.event.name, "leaseDenied");
	assert_int_equal(heard.event.uid, 1001);
	assert_int_equal(heard.event.group, 3);
	assert_string_equal(heard.message, "no");
	refusal.other_label = (char *)"blue";
	refusal_set(&refusal, REFUSAL_LABEL_MISMATCH, "labels");
	event_denied(&broker, &bob, &refusal);
	assert_string_equal(heard.event.name, "labelRefused");
	assert_string_equal(heard.label, "blue");
}

static void a_refusal_without_a_group_names_none(void **state)
{
	struct broker broker = listening();
	struct identity bob = { .uid = 1001, .pidfd = -1 };
	struct refusal refusal = { .kind = REFUSAL_NO_SUCH_DEVICE, .device = "0000:09:00.0" };

	event_denied(&broker, &bob, &refusal);
	assert_string_equal(heard.device, "0000:09:00.0");
	assert_int_equal(heard.event.group, -1);
	refusal = (struct refusal){ .kind = REFUSAL_QUOTA };
	event_denied(&broker, &bob, &refusal);
	assert_string_equal(heard.device, "(null)");
	assert_int_equal(heard.event.group, -1);
}

static void a_long_message_is_cut(void **state)
{
	struct broker broker = listening();
	struct lease *lease = lease_new(&broker, 0, 0);
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	event_lease(lease, LOG_INFO, "n", "%s", text);
	assert_int_equal(strlen(heard.message), 511);
	lease_free(lease);
}

/* What stands on standard error after an event of this priority. */
static void log_of(int priority, char *ret, size_t size)
{
	struct broker broker = { 0 };
	int memory = memfd_create("log", MFD_CLOEXEC), saved = dup(2);
	ssize_t n;

	dup2(memory, 2);
	log_init("test", LOG_NOTICE);
	event_publish(&broker, priority,
		      (struct broker_event){ .name = "n",
					     .device = "d",
					     .group = 1,
					     .lease = 2,
					     .uid = 3,
					     .driver = "r",
					     .label = "l",
					     .message = "what happened" });
	dup2(saved, 2);
	n = pread(memory, ret, size - 1, 0);
	ret[n < 0 ? 0 : n] = '\0';
	close_fd(memory);
	close_fd(saved);
}

static void the_log_has_the_same_line(void **state)
{
	char text[256];

	log_of(LOG_NOTICE, text, sizeof(text));
	assert_string_equal(text, "test: what happened\n");
	log_of(LOG_INFO, text, sizeof(text));
	assert_string_equal(text, "");
}

static void the_clock_goes_on(void **state)
{
	uint64_t first = now_usec(), second = now_usec();

	assert_true(first > 0 && second >= first && second - first < 60000000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_counted),
		cmocka_unit_test(an_event_of_a_lease_says_whose_and_what),
		cmocka_unit_test(an_event_of_a_lease_without_client_and_devices),
		cmocka_unit_test(an_event_of_a_device),
		cmocka_unit_test(a_refusal_is_an_event_of_who_asked),
		cmocka_unit_test(a_refusal_without_a_group_names_none),
		cmocka_unit_test(a_long_message_is_cut),
		cmocka_unit_test(the_log_has_the_same_line),
		cmocka_unit_test(the_clock_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
