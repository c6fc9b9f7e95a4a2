// SPDX-License-Identifier: Apache-2.0
/*
 * pd-gl: draws with OpenGL ES on a render node and says what it got.
 *
 *	pd-gl NODE [FRAMES [PICTURE]]
 *
 * A turning, shaded triangle goes into a texture; each frame is read back. Prints the renderer's
 * name, and a checksum of all the pixels; the last frame's go to PICTURE, red, green and blue, from
 * the top. Exit: 0, or 1 when something failed.
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

#define SIDE 256

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

static EGLDisplay start(const char *node)
{
	static const EGLint wanted[] = { EGL_RENDERABLE_TYPE, EGL_OPENGL_ES2_BIT, EGL_NONE };
	static const EGLint version[] = { EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE };
	struct gbm_device *gbm;
	EGLDisplay display;
	EGLContext context;
	EGLConfig config = NULL;
	EGLint n;
	int fd = open(node, O_RDWR | O_CLOEXEC);

	gbm = fd < 0 ? NULL : gbm_create_device(fd);
	if (!gbm) {
		perror(node);
		exit(1);
	}
	display = eglGetPlatformDisplay(EGL_PLATFORM_GBM_MESA, gbm, NULL);
	if (!eglInitialize(display, NULL, NULL) || !eglBindAPI(EGL_OPENGL_ES_API))
		die("eglInitialize");
	eglChooseConfig(display, wanted, &config, 1, &n);
	context = eglCreateContext(display, config, EGL_NO_CONTEXT, version);
	if (!context || !eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, context))
		die("making a context");
	return display;
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

int main(int argc, char **argv)
{
	static uint8_t pixels[SIDE * SIDE * 4];
	uint64_t sum = 0xcbf29ce484222325ULL;
	int frames = argc > 2 ? atoi(argv[2]) : 30, drawn = 0;
	GLuint program;

	if (argc < 2)
		return 2;
	start(argv[1]);
	printf("renderer: %s\n", (const char *)glGetString(GL_RENDERER));
	program = scene();
	for (int frame = 0; frame < frames; frame++) {
		double angle = 2 * 3.14159265358979 * frame / frames;

		glClearColor(0.1f, 0.2f, 0.3f, 1);
		glClear(GL_COLOR_BUFFER_BIT);
		glUniform2f(glGetUniformLocation(program, "turn"), (float)cos(angle),
			    (float)sin(angle));
		glDrawArrays(GL_TRIANGLES, 0, 3);
		glReadPixels(0, 0, SIDE, SIDE, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
		if (glGetError() != GL_NO_ERROR)
			die("drawing");
		for (size_t i = 0; i < sizeof(pixels); i += 4) {
			drawn += pixels[i] > 100 || pixels[i + 1] > 100 || pixels[i + 2] > 100;
			for (int part = 0; part < 4; part++)
				sum = (sum ^ pixels[i + part]) * 0x100000001b3ULL;
		}
	}
	if (argc > 3)
		save(argv[3], pixels);
	printf("%d frames, %d bright pixels, checksum %016llx\n", frames, drawn,
	       (unsigned long long)sum);
	return drawn == 0;
}
