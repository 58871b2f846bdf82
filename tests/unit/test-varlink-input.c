/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes that are no varlink call: a named error, and the end of that connection only. Each test ends with
 * another client being served, and with no descriptor more than before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#define VARLINK_SUITE_WITNESS
#include "varlink-suite.h"

/* No varlink call: one named error, then the end. */
static void assert_refused(const void *data, size_t size, const char *reason)
{
	struct varlink_client client = new_client();
	unsigned int n_handled = fixture.n_handled;

	assert_int_equal(varlink_client_send(&client, data, size, NULL, 0), 0);
	assert_error(&client, "io.iommud.InvalidMessage", "reason", reason);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
	assert_int_equal(fixture.n_handled, n_handled);
}

static void assert_text_refused(const char *text, const char *reason)
{
	assert_refused(text, strlen(text) + 1, reason);
}

static void refuses_what_is_no_json(void **state)
{
	unsigned char noise[256];
	unsigned int seed = 1;

	for (size_t i = 0; i < sizeof(noise) - 1; i++)
		noise[i] = 1 + (seed = seed * 1103515245 + 12345) / 65536 % 255;
	noise[sizeof(noise) - 1] = '\0';
	assert_refused(noise, sizeof(noise), "not a JSON object");
	assert_text_refused("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not a JSON object");
	assert_text_refused("", "not a JSON object");
	assert_text_refused("[]", "not a JSON object");
	assert_text_refused("{\"method\":\"test.Echo\"", "no comma or closing bracket after a value");
	assert_text_refused("{\"method\":\"test.Echo\xff\"}", "not UTF-8");
}

static void refuses_single_quotes(void **state)
{
	assert_text_refused("{'method':'test.Echo'}", "no string in double quotes where one must be");
}

static void refuses_duplicate_keys(void **state)
{
	assert_text_refused("{\"method\":\"test.Echo\",\"method\":\"test.Fds\"}", "duplicate key");
	assert_text_refused("{\"method\":\"test.Echo\",\"parameters\":{\"text\":\"a\",\"text\":\"b\"}}",
			    "duplicate key");
}

static void refuses_embedded_nul(void **state)
{
	static const char raw[] = "{\"method\":\"test\0.Echo\"}";

	assert_refused(raw, sizeof(raw), "unterminated string");
	assert_text_refused("{\"method\":\"test.Echo\\u0000\"}", "NUL in a string");
}

static void refuses_numbers_out_of_range(void **state)
{
	struct varlink_client client = new_client();

	assert_text_refused("{\"method\":\"test.Echo\",\"parameters\":{\"number\":18446744073709551616}}",
			    "number out of range");
	varlink_client_send_call(&client, "test.Echo", "{\"number\":4294967296}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "number");
	varlink_client_send_call(&client, "test.Echo", "{\"number\":-1}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "number");
	assert_served(&client);
	varlink_client_close(&client);
}

static void names_the_parameter_of_a_wrong_type(void **state)
{
	struct varlink_client client = new_client();

	varlink_client_send_call(&client, "test.Echo", "{\"number\":\"12abc\"}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "number");
	varlink_client_send_call(&client, "test.Echo", "{\"text\":7}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "text");
	varlink_client_send_call(&client, "test.Echo", "{\"list\":[1]}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "list");
	varlink_client_send_call(&client, "test.Echo", "{\"unheardOf\":1}", NULL);
	assert_error(&client, "org.varlink.service.InvalidParameter", "parameter", "unheardOf");
	assert_int_equal(fixture.n_handled, 0);
	assert_served(&client);
	varlink_client_close(&client);
}

static void refuses_a_call_object_that_is_none(void **state)
{
	_cleanup_free_ char *text = calloc(1, 2000);

	assert_text_refused("{}", "'method' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":1}", "'method' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":\"test.Echo\",\"parameters\":[]}",
			    "'parameters' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":\"test.Echo\",\"more\":1}",
			    "'more' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":\"test.Echo\",\"extra\":1}",
			    "'extra' is missing, unknown, or of the wrong type");
	assert_text_refused("{\"method\":\"test.Echo\",\"more\":true,\"oneway\":true}",
			    "'more' and 'oneway' exclude each other");
	/* A key of a thousand bytes is not quoted back, least of all half of its last character. */
	sprintf(text, "{\"method\":\"test.Echo\",\"");
	for (int i = 0; i < 500; i++)
		strcat(text, "\xc3\xa9");
	strcat(text, "\":1}");
	assert_text_refused(text, "a key is unknown");
}

static void answers_nothing_that_follows_a_refused_message(void **state)
{
	static const char text[] = "oops\0{\"method\":\"test.Echo\"}";
	struct varlink_client client = new_client();

	assert_int_equal(varlink_client_send(&client, text, sizeof(text), NULL, 0), 0);
	assert_error(&client, "io.iommud.InvalidMessage", "reason", "not a JSON object");
	assert_int_equal(varlink_client_await_close(&client), 0);
	assert_int_equal(fixture.n_handled, 0);
	varlink_client_close(&client);
}

static void refuses_ten_megabytes(void **state)
{
	size_t size = 10 * 1024 * 1024;
	_cleanup_free_ char *text = malloc(size);
	struct varlink_client client = new_client();
	struct varlink_reply reply;
	int r;

	memset(text, ' ', size);
	text[size - 1] = '\0';
	r = varlink_client_send(&client, text, size, NULL, 0);
	assert_true(r == -ECONNRESET || r == -EPIPE);
	assert_int_equal(varlink_client_receive(&client, &reply), 0);
	assert_string_equal(reply.error, "io.iommud.MessageTooLarge");
	assert_int_equal(varlink_reply_int(&reply, "limit"), VARLINK_FRAME_MAX);
	varlink_reply_clear(&reply);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
}

static void refuses_one_byte_too_many(void **state)
{
	_cleanup_free_ char *text = calloc(1, VARLINK_FRAME_MAX + 2);
	struct varlink_client client = new_client();

	memset(text, ' ', VARLINK_FRAME_MAX + 1);
	memcpy(text, "{\"method\":\"test.Echo\"}", 22);
	assert_int_equal(varlink_client_send_text(&client, text), 0);
	assert_error(&client, "io.iommud.MessageTooLarge", NULL, NULL);
	assert_int_equal(varlink_client_await_close(&client), 0);
	varlink_client_close(&client);
}

static void refuses_floods_of_brackets(void **state)
{
	_cleanup_free_ char *text = calloc(1, VARLINK_FRAME_MAX + 1);
	size_t size = sprintf(text, "{\"method\":\"test.Echo\",\"parameters\":{\"list\":[{}");

	while (size < VARLINK_FRAME_MAX - 10)
		size += sprintf(text + size, ",{}");
	strcpy(text + size, "]}}");
	assert_text_refused(text, "too many values and keys");
	memset(text, '[', VARLINK_FRAME_MAX);
	assert_text_refused(text, "not a JSON object");
	memcpy(text, "{\"a\":", 5);
	assert_text_refused(text, "nested too deep");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refuses_what_is_no_json),
		TEST(refuses_single_quotes),
		TEST(refuses_duplicate_keys),
		TEST(refuses_embedded_nul),
		TEST(refuses_numbers_out_of_range),
		TEST(names_the_parameter_of_a_wrong_type),
		TEST(refuses_a_call_object_that_is_none),
		TEST(answers_nothing_that_follows_a_refused_message),
		TEST(refuses_ten_megabytes),
		TEST(refuses_one_byte_too_many),
		TEST(refuses_floods_of_brackets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
