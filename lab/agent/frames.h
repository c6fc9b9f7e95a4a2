/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent and lab/paralab/agent.py say to each other; keep both alike. */
#ifndef LAB_FRAMES_H
#define LAB_FRAMES_H

#define FRAME_HEADER 9
#define MAX_PAYLOAD 65536
#define MAX_STRINGS 512
#define READ_CHUNK 16384

/* from the lab */
#define FRAME_RUN 1
#define FRAME_STDIN 2
#define FRAME_CLOSE_STDIN 3
#define FRAME_KILL 4 /* payload: u8 signal, for the command's process group */
#define FRAME_POWEROFF 5

/* from the agent */
#define FRAME_HELLO 16
#define FRAME_STARTED 17 /* payload: s32 process id */
#define FRAME_STDOUT 18
#define FRAME_STDERR 19
#define FRAME_EXIT 20 /* payload: s32 status, 128 + n when killed by signal n */

#endif
