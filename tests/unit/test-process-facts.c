/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a process: from the kernel's texts, from this very process, and not from one that has taken its number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail-alloc.h"
#include "util/cleanup.h"
#include "util/process-facts.h"

static void units_are_the_system_managers(void **state)
{
	static const struct {
		const char *cgroup, *unit, *slice; /* NULL: not known */
	} cases[] = {
		{ "0::/system.slice/qemu@a.service\n", "qemu@a.service", "system.slice" },
		{ "0::/system.slice/qemu@a.service/payload/x\n", "qemu@a.service", "system.slice" },
		{ "0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service",
		  "system-getty.slice" },
		/* What a user's manager runs is that manager's, whatever it calls it. */
		{ "0::/user.slice/user-1000.slice/user@1000.service/app.slice/qemu@a.service\n", "user@1000.service",
		  "user-1000.slice" },
		{ "0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", "user-1000.slice" },
		{ "0::/machine.slice/machine-qemu\\x2d1\\x2da.scope/libvirt/emulator\n",
		  "machine-qemu\\x2d1\\x2da.scope", "machine.slice" },
		{ "0::/init.scope\n", "init.scope", "-.slice" },
		{ "0::/\n", "", "-.slice" },
		{ "0::/docker/0123\n", "", "-.slice" },
		{ "0::/system.slice\n", "", "system.slice" },
		{ "0::/system.slice/_cgroup.service\n", "cgroup.service", "system.slice" },
		/* Hybrid: systemd's own by its name, in any order. */
		{ "12:pids:/x.service\n1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n",
		  "a.service", "system.slice" },
		{ "0::/system.slice/b.service\n1:name=systemd:/system.slice/a.service\n", "a.service", "system.slice" },
		{ "2:cpu:/system.slice/a.service\n", NULL, NULL },
		{ "0::/../../system.slice/a.service\n", NULL, NULL },
		{ "0::system.slice/a.service\n", NULL, NULL },
		{ "", NULL, NULL },
		{ "0::/sys\x01.slice/a.service\n", NULL, NULL },
		/* A name that hides a line does not reach the next one: the kernel writes it as \012. */
		{ "0::/a\\012.service\n", "a\\012.service", "-.slice" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct process_facts facts = {};
		bool known = process_facts_parse_cgroup(cases[i].cgroup, &facts);

		if (known != (cases[i].slice != NULL))
			print_error("%s\n", cases[i].cgroup);
		assert_int_equal(known, cases[i].slice != NULL);
		assert_string_equal(facts.unit, cases[i].unit ? cases[i].unit : "");
		assert_string_equal(facts.slice, cases[i].slice ? cases[i].slice : "");
	}
}

static void only_what_confines_is_a_profile(void **state)
{
	static const struct {
		const char *text, *profile;
	} cases[] = {
		{ "unconfined", "unconfined" },
		{ "/usr/bin/man (enforce)", "/usr/bin/man" },
		{ "libvirt-12 (enforce)", "libvirt-12" },
		{ "x (kill)", "x" },
		{ "a b (enforce)", "a b" },
		{ "x (complain)", "" },
		{ "chrome (unconfined)", "" },
		{ "x//&y (mixed)", "" },
		{ " (enforce)", "" },
		{ "x", "" },
		{ "", "" },
		{ "x\x80 (enforce)", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct process_facts facts = {};

		process_facts_parse_apparmor(cases[i].text, &facts);
		assert_string_equal(facts.apparmor, cases[i].profile);
	}
}

static void assert_nothing(const struct process_facts *facts)
{
	static const struct process_facts nothing;

	assert_memory_equal(facts, &nothing, sizeof(nothing));
}

static void of_this_process(void **state)
{
	struct identity identity = IDENTITY_INIT;
	struct process_facts facts;
	char executable[4096] = "";

	identity.pid = getpid();
	process_facts_read("/proc", &identity, &facts);
	/* Without a pidfd nobody can say whose number it is. */
	assert_nothing(&facts);
	identity.pidfd = pidfd_open(getpid(), 0);
	assert_true(identity.pidfd >= 0);
	process_facts_read("/proc", &identity, &facts);
	assert_true(readlink("/proc/self/exe", executable, sizeof(executable) - 1) > 0);
	assert_string_equal(facts.executable, executable);
	identity_clear(&identity);
}

/* /proc, with one process in it: the number of a child of ours, which has whatever the test says. */
struct fake_proc {
	char path[64];
	pid_t pid;
	int pidfd;
	int gate; /* the child ends when it is closed */
};

static void write_file(const struct fake_proc *proc, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%d/%s", proc->path, (int)proc->pid, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void make_folder(const struct fake_proc *proc, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d%s", proc->path, (int)proc->pid, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static int setup(void **state)
{
	static struct fake_proc proc;
	char link[128], byte;
	int gate[2];

	proc = (struct fake_proc){ .path = "/tmp/iommud-test-XXXXXX" };
	assert_non_null(mkdtemp(proc.path));
	assert_int_equal(pipe(gate), 0);
	proc.pid = fork();
	if (proc.pid == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) != 0);
	}
	close(gate[0]);
	proc.gate = gate[1];
	proc.pidfd = pidfd_open(proc.pid, 0);
	assert_true(proc.pidfd >= 0);
	make_folder(&proc, "");
	make_folder(&proc, "/attr");
	make_folder(&proc, "/attr/apparmor");
	write_file(&proc, "cgroup", "0::/system.slice/wanted.service\n");
	write_file(&proc, "attr/apparmor/current", "wanted (enforce)\n");
	snprintf(link, sizeof(link), "%s/%d/exe", proc.path, (int)proc.pid);
	assert_int_equal(symlink("/usr/bin/wanted", link), 0);
	*state = &proc;
	return 0;
}

static void end_child(struct fake_proc *proc)
{
	proc->gate = close_fd(proc->gate);
	if (proc->pid > 0)
		waitpid(proc->pid, NULL, 0);
}

static int teardown(void **state)
{
	struct fake_proc *proc = *state;
	char command[128];

	end_child(proc);
	close_fd(proc->pidfd);
	snprintf(command, sizeof(command), "rm -r %s", proc->path);
	return system(command);
}

static struct process_facts read_facts(const struct fake_proc *proc)
{
	struct identity identity = { .uid = 0, .gid = 0, .pid = proc->pid, .pidfd = proc->pidfd };
	struct process_facts facts;

	process_facts_read(proc->path, &identity, &facts);
	return facts;
}

static void of_one_that_lives(void **state)
{
	const struct process_facts facts = read_facts(*state);

	assert_string_equal(facts.unit, "wanted.service");
	assert_string_equal(facts.slice, "system.slice");
	assert_string_equal(facts.executable, "/usr/bin/wanted");
	assert_string_equal(facts.apparmor, "wanted");
}

/* Its number is somebody's who is in a unit that is allowed much. Also while it is no more than dead. */
static void not_of_who_has_its_number_now(void **state)
{
	struct fake_proc *proc = *state;
	struct process_facts facts;
	siginfo_t info;

	proc->gate = close_fd(proc->gate);
	assert_int_equal(waitid(P_PIDFD, proc->pidfd, &info, WEXITED | WNOWAIT), 0);
	facts = read_facts(proc);
	assert_nothing(&facts);
	end_child(proc);
	facts = read_facts(proc);
	assert_nothing(&facts);
	proc->pid = 0;
	facts = read_facts(proc);
	assert_nothing(&facts);
}

static void set_executable(const struct fake_proc *proc, const char *target)
{
	char link[128];

	snprintf(link, sizeof(link), "%s/%d/exe", proc->path, (int)proc->pid);
	unlink(link);
	assert_int_equal(symlink(target, link), 0);
}

static void a_program_that_is_gone_is_not_known(void **state)
{
	static const char *const unknown[] = { "/usr/bin/wanted (deleted)", "relative", "/usr/bin/\x01",
					       "/usr/bin/\xc3\xa4" };
	char longest[EXECUTABLE_MAX + 2];
	struct process_facts facts;

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		set_executable(*state, unknown[i]);
		facts = read_facts(*state);
		assert_string_equal(facts.executable, "");
		assert_string_equal(facts.unit, "wanted.service");
	}
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[EXECUTABLE_MAX + 1] = '\0';
	set_executable(*state, longest);
	facts = read_facts(*state);
	assert_string_equal(facts.executable, "");
	longest[EXECUTABLE_MAX] = '\0';
	set_executable(*state, longest);
	facts = read_facts(*state);
	assert_string_equal(facts.executable, longest);
}

static void are_stored_as_known_and_unknown(void **state)
{
	struct process_facts facts = { .slice = "-.slice", .executable = "/x" };
	struct identity identity = IDENTITY_INIT;

	assert_int_equal(process_facts_store(&facts, &identity), 0);
	/* In no unit, and that is known. */
	assert_string_equal(identity.unit, "");
	assert_string_equal(identity.slice, "-.slice");
	assert_string_equal(identity.executable, "/x");
	assert_null(identity.apparmor);
	memset(&facts, 0, sizeof(facts));
	assert_int_equal(process_facts_store(&facts, &identity), 0);
	assert_true(!identity.unit && !identity.slice && !identity.executable && !identity.apparmor);
	identity_clear(&identity);
}

static void are_all_stored_or_none(void **state)
{
	const struct process_facts facts = {
		.unit = "a.service", .slice = "-.slice", .executable = "/x", .apparmor = "y"
	};
	struct identity identity = IDENTITY_INIT;

	for (unsigned int n = 1; n <= 4; n++) {
		fail_alloc_begin(n);
		assert_int_equal(process_facts_store(&facts, &identity), -ENOMEM);
		assert_true(fail_alloc_end());
		assert_true(!identity.unit && !identity.slice && !identity.executable && !identity.apparmor);
	}
	assert_int_equal(process_facts_store(&facts, &identity), 0);
	assert_string_equal(identity.apparmor, "y");
	identity_clear(&identity);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_the_system_managers),
		cmocka_unit_test(only_what_confines_is_a_profile),
		cmocka_unit_test(of_this_process),
		TEST(of_one_that_lives),
		TEST(not_of_who_has_its_number_now),
		TEST(a_program_that_is_gone_is_not_known),
		cmocka_unit_test(are_stored_as_known_and_unknown),
		cmocka_unit_test(are_all_stored_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
