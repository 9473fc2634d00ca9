/* Runs one program, and prints its run time (ns), its peak memory (KB) and its exit status.
 *
 * This is a separate small program because a forked child counts its parent's memory as its own until it calls exec, and
 * the kernel keeps that as the peak. The memory of Python would hide that of the measured program. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now(void) {
    struct timespec clock;
    clock_gettime(CLOCK_MONOTONIC, &clock);
    return clock.tv_sec * 1000000000LL + clock.tv_nsec;
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: launch PROGRAM [ARGUMENTS]\n");
        return 2;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t child;
    int status;
    struct rusage used;
    long long begun = now();
    int fault = posix_spawnp(&child, words[1], &actions, NULL, words + 1, environ);
    if (fault != 0) {
        fprintf(stderr, "%s: %s\n", words[1], strerror(fault));
        return 1;
    }
    if (wait4(child, &status, 0, &used) < 0) {
        fprintf(stderr, "wait4: %s\n", strerror(errno));
        return 1;
    }
    printf("%lld %ld %d\n", now() - begun, used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 0;
}
