// SPDX-License-Identifier: Apache-2.0
/*
 * pd-gl: draws with OpenGL ES on a render node and says what it got.
 *
 *	pd-gl NODE [FRAMES [PICTURE]]
 *
 * A turning, shaded triangle goes into a texture; each frame is read back. Prints the renderer's
 * name, and a checksum of all the pixels; the last frame's go to PICTURE, red, green and blue, from
 * the top.
 *
 *	pd-gl bench ROUNDS FRAMES NAME=NODE...
 *
 * The same on several nodes in turn, each round so many frames on each, in lines as pd-bench prints them.
 *
 * Exit: 0, or 1 when something failed.
 */
#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GLES2/gl2.h>
#include <fcntl.h>
#include <gbm.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIDE 256
#define MAX_VIEWS 4
#define COUNTERS "/sys/kernel/debug/paradice/"

/* A node, and what draws on it. */
struct view {
	const char *name;
	EGLDisplay display;
	EGLContext context;
	GLuint program;
};

static uint8_t pixels[SIDE * SIDE * 4];

static void die(const char *what)
{
	printf("%s failed: EGL 0x%x\n", what, eglGetError());
	exit(1);
}

static GLuint shader(GLenum kind, const char *text)
{
	GLuint made = glCreateShader(kind);
	GLint right = 0;

	glShaderSource(made, 1, &text, NULL);
	glCompileShader(made);
	glGetShaderiv(made, GL_COMPILE_STATUS, &right);
	if (!right)
		die("compiling a shader");
	return made;
}

static void start(struct view *v, const char *node)
{
	static const EGLint wanted[] = { EGL_RENDERABLE_TYPE, EGL_OPENGL_ES2_BIT, EGL_NONE };
	static const EGLint version[] = { EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE };
	struct gbm_device *gbm;
	EGLConfig config = NULL;
	EGLint n;
	int fd = open(node, O_RDWR | O_CLOEXEC);

	gbm = fd < 0 ? NULL : gbm_create_device(fd);
	if (!gbm) {
		perror(node);
		exit(1);
	}
	v->display = eglGetPlatformDisplay(EGL_PLATFORM_GBM_MESA, gbm, NULL);
	if (!eglInitialize(v->display, NULL, NULL) || !eglBindAPI(EGL_OPENGL_ES_API))
		die("eglInitialize");
	eglChooseConfig(v->display, wanted, &config, 1, &n);
	v->context = eglCreateContext(v->display, config, EGL_NO_CONTEXT, version);
	if (!v->context)
		die("making a context");
}

static void turn_to(const struct view *v)
{
	if (!eglMakeCurrent(v->display, EGL_NO_SURFACE, EGL_NO_SURFACE, v->context))
		die("eglMakeCurrent");
}

static GLuint scene(void)
{
	static const float corners[] = { 0, 0.9f, -0.8f, -0.7f, 0.8f, -0.7f };
	static const float colours[] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
	GLuint program = glCreateProgram(), texture, target;

	glGenTextures(1, &texture);
	glBindTexture(GL_TEXTURE_2D, texture);
	glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, SIDE, SIDE, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
	glGenFramebuffers(1, &target);
	glBindFramebuffer(GL_FRAMEBUFFER, target);
	glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
	if (glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE)
		die("the frame buffer");
	glAttachShader(program,
		       shader(GL_VERTEX_SHADER,
			      "attribute vec2 corner; attribute vec3 colour; uniform vec2 turn;"
			      "varying vec3 c;"
			      "void main() { c = colour; gl_Position = vec4(corner.x * turn.x - "
			      "corner.y * turn.y, corner.x * turn.y + corner.y * turn.x, 0, 1); }"));
	glAttachShader(program,
		       shader(GL_FRAGMENT_SHADER, "precision mediump float; varying vec3 c;"
						  "void main() { gl_FragColor = vec4(c, 1); }"));
	glBindAttribLocation(program, 0, "corner");
	glBindAttribLocation(program, 1, "colour");
	glLinkProgram(program);
	glUseProgram(program);
	glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, corners);
	glVertexAttribPointer(1, 3, GL_FLOAT, GL_FALSE, 0, colours);
	glEnableVertexAttribArray(0);
	glEnableVertexAttribArray(1);
	glViewport(0, 0, SIDE, SIDE);
	return program;
}

/* OpenGL's rows begin at the bottom. */
static void save(const char *path, const uint8_t *pixels)
{
	FILE *f = fopen(path, "we");

	if (!f) {
		perror(path);
		exit(1);
	}
	for (int y = SIDE - 1; y >= 0; y--)
		for (int x = 0; x < SIDE; x++)
			fwrite(&pixels[(y * SIDE + x) * 4], 3, 1, f);
	if (fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* One picture of so many, into pixels. */
static void draw(const struct view *v, int frame, int frames)
{
	double angle = 2 * 3.14159265358979 * frame / frames;

	glClearColor(0.1f, 0.2f, 0.3f, 1);
	glClear(GL_COLOR_BUFFER_BIT);
	glUniform2f(glGetUniformLocation(v->program, "turn"), (float)cos(angle), (float)sin(angle));
	glDrawArrays(GL_TRIANGLES, 0, 3);
	glReadPixels(0, 0, SIDE, SIDE, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
	if (glGetError() != GL_NO_ERROR)
		die("drawing");
}

static int show(const char *node, int frames, const char *picture)
{
	uint64_t sum = 0xcbf29ce484222325ULL;
	struct view v = { 0 };
	int drawn = 0;

	start(&v, node);
	turn_to(&v);
	printf("renderer: %s\n", (const char *)glGetString(GL_RENDERER));
	v.program = scene();
	for (int frame = 0; frame < frames; frame++) {
		draw(&v, frame, frames);
		for (size_t i = 0; i < sizeof(pixels); i += 4) {
			drawn += pixels[i] > 100 || pixels[i + 1] > 100 || pixels[i + 2] > 100;
			for (int part = 0; part < 4; part++)
				sum = (sum ^ pixels[i + part]) * 0x100000001b3ULL;
		}
	}
	if (picture)
		save(picture, pixels);
	printf("%d frames, %d bright pixels, checksum %016llx\n", frames, drawn,
	       (unsigned long long)sum);
	return drawn == 0;
}

/* Of paradice.ko's; 0 without it. */
static long counter(const char *name)
{
	char path[64];
	long value = 0;
	FILE *f;

	snprintf(path, sizeof(path), COUNTERS "%s", name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%ld", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

static void take_turn(const struct view *v, int round, int frames)
{
	long requests = counter("requests"), faults = counter("faults");
	struct timespec began, ended;

	turn_to(v);
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (int frame = 0; frame < frames; frame++)
		draw(v, frame, frames);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	printf("%s %d %d %lld %ld %ld 0\n", v->name, round, frames,
	       (ended.tv_sec - began.tv_sec) * 1000000000LL + ended.tv_nsec - began.tv_nsec,
	       counter("requests") - requests, counter("faults") - faults);
}

static int bench(int rounds, int frames, char **cases, int n)
{
	struct view v[MAX_VIEWS] = { 0 };

	if (rounds < 1 || frames < 1 || n < 1 || n > MAX_VIEWS)
		return 2;
	for (int i = 0; i < n; i++) {
		char *node = strchr(cases[i], '=');

		if (!node)
			return 2;
		*node++ = '\0';
		v[i].name = cases[i];
		start(&v[i], node);
		turn_to(&v[i]);
		fprintf(stderr, "%s: %s\n", v[i].name, (const char *)glGetString(GL_RENDERER));
		v[i].program = scene();
		draw(&v[i], 0, frames); /* which compiles what there is to compile */
	}
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < n; i++)
			take_turn(&v[i], round, frames);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 4 && !strcmp(argv[1], "bench"))
		return bench(atoi(argv[2]), atoi(argv[3]), argv + 4, argc - 4);
	if (argc < 2)
		return 2;
	return show(argv[1], argc > 2 ? atoi(argv[2]) : 30, argc > 3 ? argv[3] : NULL);
}
