/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemons, their folder and their machine. Clients are in iommud-client.c. */
#include "iommud-harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/cleanup.h"

#define MEMORY_MAJOR 1
#define IOMMU_MINOR 3

const char machine_rules[] =
	"[Match]\nAddress=" FORBIDDEN "\n[Client]\nUser=*\n[Grant]\nAction=deny\n"
	"[Match]\nAddress=" NIC " " DISK " " BARE " " IDLE " " LOOSE
	"\n[Client]\nUser=1000 1001\n[Grant]\nAction=allow\n"
	"[Match]\nAddress=" SPARE "\n[Client]\nUser=1001\n[Grant]\nAction=allow\n"
	"[Match]\nAddress=" TWIN_A " " TWIN_B
	"\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=blue\n"
	"[Match]\nAddress=" TWIN_A " " TWIN_B
	"\n[Client]\nUser=1001\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=red\n"
	"[Match]\nAddress=" CROWD_A "\n[Client]\nUser=1000\n[Grant]\nAction=allow\nGroupScope=whole\n";

/* ---- the machine ---- */

static void add_device(struct machine *machine, const char *address, uint16_t id, int group, const char *driver,
		       const char *override, unsigned int minor)
{
	const struct fuse_sysfs_device is = {
		.address = address,
		.vendor = 0x8086,
		.device = id,
		.subsystem_vendor = 0x1af4,
		.subsystem_device = 0x1100,
		.class = 0x020000,
		.group = group,
		.driver = driver,
		.driver_override = override,
		.memory_minor = minor,
	};

	fuse_sysfs_add_device(machine->sysfs, &is);
	machine_replace_node(machine, address, minor);
}

static void add_devices(struct machine *machine)
{
	fuse_sysfs_add_driver(machine->sysfs, "e1000e", "8086:10d3");
	fuse_sysfs_add_driver(machine->sysfs, "nvme", "8086:5845");
	fuse_sysfs_add_driver(machine->sysfs, "vfio-pci", NULL);
	fuse_sysfs_add_driver(machine->sysfs, "pci-stub", NULL);
	fuse_sysfs_add_driver(machine->sysfs, "mlx5_vfio_pci", NULL);
	add_device(machine, NIC, 0x10d3, 1, "e1000e", NULL, 5);
	add_device(machine, DISK, 0x5845, 2, "nvme", NULL, 7);
	add_device(machine, BARE, 0x0003, 3, NULL, "nothing-yet", 8);
	add_device(machine, SPARE, 0x10d3, 4, "e1000e", NULL, 9);
	add_device(machine, IDLE, 0x0005, 5, "mlx5_vfio_pci", NULL, 9);
	add_device(machine, TWIN_A, 0x10d3, 6, "e1000e", NULL, 5);
	add_device(machine, TWIN_B, 0x0006, 6, "mlx5_vfio_pci", NULL, 7);
	add_device(machine, CROWD_A, 0x10d3, 7, "e1000e", NULL, 5);
	add_device(machine, CROWD_B, 0x5845, 7, "nvme", NULL, 7);
	add_device(machine, FORBIDDEN, 0x10d3, 8, "e1000e", NULL, 5);
	add_device(machine, UNKNOWN, 0x10d3, 9, "e1000e", NULL, 5);
	add_device(machine, LOOSE, 0x10d3, -1, "e1000e", NULL, 5);
}

static void make_node(const char *path, unsigned int minor)
{
	assert_true(unlink(path) == 0 || errno == ENOENT);
	if (minor == 0)
		return;
	assert_int_equal(mknod(path, S_IFCHR, makedev(MEMORY_MAJOR, minor)), 0);
	assert_int_equal(chmod(path, 0666), 0);
}

/* The fake kernel numbers vfioN by the inode of the device's folder. */
void machine_replace_node(struct machine *machine, const char *address, unsigned int minor)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/devices/pci0000:00/%s", fuse_sysfs_path(machine->sysfs), address);
	assert_int_equal(stat(path, &st), 0);
	snprintf(path, sizeof(path), "%s/dev/vfio/devices/vfio%llu", machine->dir, (unsigned long long)st.st_ino);
	make_node(path, minor);
}

int machine_hook(void *userdata, const struct fuse_sysfs_write *write_)
{
	const struct machine *machine = userdata;

	if (write_->after)
		assert_int_equal(write(machine->writes_writer, "", 1), 1);
	return 0;
}

/* "DIR/%s" into one of the buffers that a program's arguments need. */
static char *path_of(const struct machine *machine, char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", machine->dir, name);
	return path;
}

static void make_folder(struct machine *machine, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", machine->dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_notify_socket(struct machine *machine)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/notify", machine->dir);
	machine->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(machine->notify_fd >= 0);
	assert_int_equal(bind(machine->notify_fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(chmod(name.sun_path, 0666), 0); /* iommud has no rights of its own by then */
	assert_int_equal(setenv("NOTIFY_SOCKET", name.sun_path, 1), 0);
}

static void make_dir(struct machine *machine)
{
	char path[128];

	strcpy(machine->dir, "/tmp/iommud-e2e-XXXXXX");
	assert_non_null(mkdtemp(machine->dir));
	assert_int_equal(chmod(machine->dir, 0711), 0);
	snprintf(machine->socket, sizeof(machine->socket), "%s/io.iommud", machine->dir);
	make_folder(machine, "bin");
	make_folder(machine, "policy");
	make_folder(machine, "state");
	assert_int_equal(chown(path_of(machine, path, "state"), BROKER_UID, -1), 0);
	make_folder(machine, "dev");
	make_folder(machine, "dev/vfio");
	make_folder(machine, "dev/vfio/devices");
	snprintf(path, sizeof(path), "%s/dev/iommu", machine->dir);
	make_node(path, IOMMU_MINOR);
	machine_write(machine, RULES_FILE, machine->rules ? machine->rules : machine_rules);
	make_notify_socket(machine);
}

void machine_write(struct machine *machine, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", machine->dir, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* ---- processes ---- */

/* What it prints goes to the end of DIR/NAME.log. */
static void redirect(const struct machine *machine, const char *name)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.log", machine->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(126);
}

static const char *program_path(char path[256], const char *name)
{
	const char *build = getenv("IOMMUD_BUILD");

	snprintf(path, 256, "%s/%s", build ? build : "build", name);
	return path;
}

static __attribute__((noreturn)) void exec_helper(const struct machine *machine)
{
	char program[256], socket_path[128], journal[128], policy[128], config[128];

	program_path(program, "iommud-helper");
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* no signal to the group of the test reaches it */
	redirect(machine, "helper");
	execl(program, program, "--socket", path_of(machine, socket_path, "helper"), "--broker-user", "nobody",
	      "--client-socket", machine->socket, "--journal", path_of(machine, journal, "journal"), "--sysfs",
	      fuse_sysfs_path(machine->sysfs), "--policy", path_of(machine, policy, "policy"), "--policy-any-owner",
	      "--config", path_of(machine, config, "iommud.conf"), machine->worker_timeout ? "--worker-timeout" : NULL,
	      machine->worker_timeout, NULL);
	_exit(127);
}

static __attribute__((noreturn)) void exec_iommud(const struct machine *machine)
{
	char program[256], helper[128], policy[128], dev[128], config[128], state[128] = "";

	program_path(program, "iommud");
	redirect(machine, "iommud");
	if (machine->keeps)
		notify_store_pass(&machine->store);
	if (machine->keeps || machine->writes_down)
		path_of(machine, state, "state");
	execl(program, program, "--listen", machine->socket, "--helper", path_of(machine, helper, "helper"), "--user",
	      "nobody", "--sysfs", fuse_sysfs_path(machine->sysfs), "--dev", path_of(machine, dev, "dev"), "--policy",
	      path_of(machine, policy, "policy"), "--policy-any-owner", "--config",
	      path_of(machine, config, "iommud.conf"), "--state", state, "--fd-store", machine->keeps ? "64" : "0",
	      NULL);
	_exit(127);
}

/* READY=1 of the process, or its end, which is a failure. */
static void wait_ready(struct machine *machine, pid_t pid, const char *name)
{
	_cleanup_fd_ int pidfd = pidfd_open(pid, 0);
	bool ready = false;

	assert_true(pidfd >= 0);
	while (!ready) {
		struct pollfd slots[] = { { .fd = machine->notify_fd, .events = POLLIN },
					  { .fd = pidfd, .events = POLLIN } };
		_cleanup_free_ char *log = NULL;

		if (poll(slots, 2, MACHINE_WAIT * 1000) <= 0 || !slots[0].revents) {
			log = machine_log(machine);
			fail_msg("%s did not become ready:\n%s", name, log);
		}
		ready = notify_store_read(&machine->store, machine->notify_fd);
	}
}

void machine_start_helper(struct machine *machine)
{
	machine_write(machine, "iommud.conf", machine->config ? machine->config : "");
	machine->helper = fork();
	assert_true(machine->helper >= 0);
	if (machine->helper == 0)
		exec_helper(machine);
	setpgid(machine->helper, machine->helper);
	wait_ready(machine, machine->helper, "iommud-helper");
}

void machine_start_iommud(struct machine *machine)
{
	struct varlink_reply reply;

	machine_write(machine, "iommud.conf", machine->config ? machine->config : "");
	machine_drain_store(machine);
	machine->iommud = fork();
	assert_true(machine->iommud >= 0);
	if (machine->iommud == 0)
		exec_iommud(machine);
	wait_ready(machine, machine->iommud, "iommud");
	varlink_client_close(&machine->watch);
	machine->watch = machine_connect(machine, 0);
	assert_int_equal(varlink_client_call(&machine->watch, "io.iommud.Subscribe", NULL, "\"more\":true", &reply), 0);
	assert_string_equal(varlink_reply_string(&reply, "event"), "subscribed");
	varlink_reply_clear(&reply);
}

/* SIGTERM; whether it left with 0, which a sanitizer with something to say prevents. */
static bool stop(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool stop_iommud(struct machine *machine)
{
	pid_t pid = machine->iommud;

	machine->iommud = -1;
	return pid < 0 || stop(pid);
}

void machine_stop_iommud(struct machine *machine)
{
	assert_true(stop_iommud(machine));
}

static bool stop_helper(struct machine *machine)
{
	pid_t pid = machine->helper;
	bool good = pid < 0 || stop(pid);

	machine->helper = -1;
	/* Workers that it left to finish. */
	while (pid > 0 && (waitpid(-pid, NULL, 0) > 0 || errno == EINTR))
		;
	return good;
}

void machine_kill_iommud(struct machine *machine)
{
	assert_int_equal(kill(machine->iommud, SIGKILL), 0);
	assert_int_equal(waitpid(machine->iommud, NULL, 0), machine->iommud);
	machine->iommud = -1;
}

void machine_kill_helper(struct machine *machine)
{
	assert_int_equal(kill(-machine->helper, SIGKILL), 0);
	while (waitpid(-machine->helper, NULL, 0) > 0 || errno == EINTR)
		;
	machine->helper = -1;
}

void machine_drain_store(struct machine *machine)
{
	notify_store_drain(&machine->store, machine->notify_fd);
}

void machine_reload(struct machine *machine)
{
	assert_int_equal(kill(machine->iommud, SIGHUP), 0);
}

/* ---- all of it ---- */

void machine_start(struct machine *machine)
{
	int pipe_fds[2], r;

	machine->iommud = machine->helper = machine->notify_fd = -1;
	machine->watch = (struct varlink_client)VARLINK_CLIENT_INIT;
	if (geteuid() != 0) {
		print_message("not root: the daemons can't be tested here\n");
		skip();
	}
	r = fuse_sysfs_new(&machine->sysfs);
	if (r < 0) {
		print_message("no FUSE here: %s\n", strerror(-r));
		skip();
	}
	/* Workers that outlive a helper are ours to wait for. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	machine->writes = pipe_fds[0];
	machine->writes_writer = pipe_fds[1];
	make_dir(machine);
	add_devices(machine);
	fuse_sysfs_set_hook(machine->sysfs, machine_hook, machine);
	machine_start_helper(machine);
	machine_start_iommud(machine);
}

static bool log_is_clean(const char *log)
{
	return !strstr(log, "AddressSanitizer") && !strstr(log, "LeakSanitizer") && !strstr(log, "runtime error:");
}

static void remove_all(struct machine *machine)
{
	char command[128];

	notify_store_clear(&machine->store);
	close_fd(machine->notify_fd);
	machine->sysfs = fuse_sysfs_free(machine->sysfs);
	close(machine->writes);
	close(machine->writes_writer);
	snprintf(command, sizeof(command), "rm -rf %s", machine->dir);
	assert_int_equal(system(command), 0);
}

/* Everything ends before anything is said of it, so that nothing is left when the test fails by that. */
void machine_stop(struct machine *machine)
{
	_cleanup_free_ char *log = NULL;
	bool iommud, helper;

	if (!machine->sysfs)
		return;
	fuse_sysfs_let_all_go(machine->sysfs);
	varlink_client_close(&machine->watch);
	iommud = stop_iommud(machine);
	helper = stop_helper(machine);
	log = machine_log(machine);
	remove_all(machine);
	if (iommud && helper && log_is_clean(log))
		return;
	fputs(log, stderr);
	fail_msg("iommud left %s, iommud-helper %s; what they had written is above", iommud ? "well" : "with a failure",
		 helper ? "well" : "with a failure");
}
