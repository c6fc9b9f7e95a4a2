// SPDX-License-Identifier: Apache-2.0
/*
 * pd-sound: how soon a program hears of each period of a sound card.
 *
 *	pd-sound NAME SECONDS
 *
 * Plays that much silence on hw:0,0, 48 kHz, by mmap, in periods of a millisecond, and waits for each. A line
 * for each time that it woke up, as pd-bench prints them: what it took since the last in nanoseconds, whether
 * the card ran dry meanwhile, and how long ago by the driver's clock, which may be another, the period ended.
 * At the end one of NAME-all: what all took, and how often the card ran dry.
 *
 * Exit: 0, or 1 when something failed.
 */
#include <alsa/asoundlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RATE 48000
#define PERIOD (RATE / 1000)
#define PERIODS 40

static void must(int err, const char *what)
{
	if (err >= 0)
		return;
	fprintf(stderr, "pd-sound: %s: %s\n", what, snd_strerror(err));
	exit(1);
}

static int64_t ns(struct timespec t)
{
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return ns(t);
}

static snd_pcm_t *set_up(void)
{
	snd_pcm_uframes_t period = PERIOD, buffer = PERIOD * PERIODS;
	snd_pcm_hw_params_t *hw;
	snd_pcm_sw_params_t *sw;
	snd_pcm_t *pcm;

	snd_pcm_hw_params_alloca(&hw);
	snd_pcm_sw_params_alloca(&sw);
	must(snd_pcm_open(&pcm, "hw:0,0", SND_PCM_STREAM_PLAYBACK, 0), "hw:0,0");
	must(snd_pcm_hw_params_any(pcm, hw), "parameters");
	must(snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_MMAP_INTERLEAVED), "mmap");
	must(snd_pcm_hw_params_set_format(pcm, hw, SND_PCM_FORMAT_S16_LE), "16 bits");
	must(snd_pcm_hw_params_set_channels(pcm, hw, 2), "2 channels");
	must(snd_pcm_hw_params_set_rate(pcm, hw, RATE, 0), "48 kHz");
	must(snd_pcm_hw_params_set_period_size_near(pcm, hw, &period, NULL), "periods");
	must(snd_pcm_hw_params_set_buffer_size_near(pcm, hw, &buffer), "buffer");
	must(snd_pcm_hw_params(pcm, hw), "parameters");
	must(snd_pcm_sw_params_current(pcm, sw), "software parameters");
	must(snd_pcm_sw_params_set_avail_min(pcm, sw, period), "avail_min");
	must(snd_pcm_sw_params_set_tstamp_mode(pcm, sw, SND_PCM_TSTAMP_ENABLE), "time stamps");
	must(snd_pcm_sw_params_set_tstamp_type(pcm, sw, SND_PCM_TSTAMP_TYPE_MONOTONIC),
	     "the clock");
	must(snd_pcm_sw_params(pcm, sw), "software parameters");
	return pcm;
}

/* Silence, as much as there is room for; how many frames. Where the card has run dry the next call says so. */
static long fill(snd_pcm_t *pcm)
{
	const snd_pcm_channel_area_t *areas;
	snd_pcm_uframes_t offset, frames;
	snd_pcm_sframes_t room;
	long filled = 0;
	int err;

	while ((room = snd_pcm_avail_update(pcm)) > 0) {
		frames = (snd_pcm_uframes_t)room;
		must(snd_pcm_mmap_begin(pcm, &areas, &offset, &frames), "mmap_begin");
		snd_pcm_areas_silence(areas, offset, 2, frames, SND_PCM_FORMAT_S16_LE);
		err = (int)snd_pcm_mmap_commit(pcm, offset, frames);
		if (err == -EPIPE)
			break;
		must(err, "mmap_commit");
		filled += (long)frames;
	}
	return filled;
}

int main(int argc, char **argv)
{
	int64_t begin, last;
	snd_pcm_t *pcm;
	long left;
	int dry = 0;

	if (argc != 3)
		return 2;
	pcm = set_up();
	left = atoi(argv[2]) * (long)RATE - fill(pcm);
	must(snd_pcm_start(pcm), "starting");
	begin = now();
	last = begin;
	for (int round = 0; left > 0; round++) {
		int err = snd_pcm_wait(pcm, 1000);
		snd_pcm_uframes_t avail;
		snd_htimestamp_t stamp;
		int64_t woke = now();

		/* it can run dry between the two as well */
		if (err >= 0)
			err = snd_pcm_htimestamp(pcm, &avail, &stamp);
		if (err == -EPIPE) {
			must(snd_pcm_recover(pcm, err, 1), "going on");
			dry++;
			left -= fill(pcm);
			must(snd_pcm_start(pcm), "starting again");
			printf("%s %d 1 %lld 0 0 1 0\n", argv[1], round, (long long)(woke - last));
		} else {
			must(err, "waiting");
			left -= fill(pcm);
			printf("%s %d 1 %lld 0 0 0 %lld\n", argv[1], round,
			       (long long)(woke - last), (long long)(woke - ns(stamp)));
		}
		last = woke;
	}
	printf("%s-all 0 1 %lld 0 0 %d 0\n", argv[1], (long long)(last - begin), dry);
	snd_pcm_close(pcm);
	return 0;
}
