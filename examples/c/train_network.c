/* train_network.c - trains a small network with a trained optimizer. The program computes the loss and its gradient.
 *
 *   train_network OPTIMIZER [STEPS]      OPTIMIZER is an exported optimizer, a checkpoint or a run directory
 *
 *   cc train_network.c $(pkg-config --cflags --libs warploom) -lm -o train_network
 *
 * The network has one hidden layer: h = tanh(x W1 + b1), and the scores of the classes are h W2 + b2. The loss is the
 * mean cross-entropy over a minibatch. The inputs x are random points of a square, and the class of a point is its
 * distance from the centre, rounded down. For another network, replace the shapes, draw_batch and
 * loss_and_gradient. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <warploom/optimizer.h>

enum { INPUTS = 2, HIDDEN = 32, CLASSES = 3, BATCH = 64, N_TENSORS = 4 };
enum { N = INPUTS * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES };

/* Shapes of the tensors, in the order in which theta contains the tensors. A weight has the shape (in, out). */
static const wl_tensor_shape shapes[N_TENSORS] = {
    {2, {INPUTS, HIDDEN}}, {1, {HIDDEN}}, {2, {HIDDEN, CLASSES}}, {1, {CLASSES}}};

/* The tensors of an array that has the order of theta. */
typedef struct tensors {
  float *w1, *b1, *w2, *b2; /* [INPUTS][HIDDEN], [HIDDEN], [HIDDEN][CLASSES], [CLASSES] */
} tensors;

static tensors split(float *all) {
  float *const w2 = all + INPUTS * HIDDEN + HIDDEN;
  return (tensors){all, all + INPUTS * HIDDEN, w2, w2 + HIDDEN * CLASSES};
}

/* Returns a number between -1 and 1. The sequence of numbers is the same on every computer. */
static float draw(void) {
  static unsigned long long state = 1;
  state = state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (float)(state >> 40) / (1 << 23) - 1;
}

static void draw_batch(float x[BATCH][INPUTS], int class[BATCH]) {
  for (int i = 0; i < BATCH; i++) {
    for (int k = 0; k < INPUTS; k++) x[i][k] = 2 * draw();
    class[i] = (int)hypotf(x[i][0], x[i][1]); /* below CLASSES, because the distance is at most 2.83 */
  }
}

/* Computes the hidden layer h [HIDDEN] and the probabilities p [CLASSES] of one sample x [INPUTS]. */
static void forward(const tensors *t, const float *x, float *h, float *p) {
  float sum = 0, largest = -INFINITY;
  for (int j = 0; j < HIDDEN; j++) {
    h[j] = t->b1[j];
    for (int k = 0; k < INPUTS; k++) h[j] += x[k] * t->w1[k * HIDDEN + j];
    h[j] = tanhf(h[j]);
  }
  for (int c = 0; c < CLASSES; c++) {
    p[c] = t->b2[c];
    for (int j = 0; j < HIDDEN; j++) p[c] += h[j] * t->w2[j * CLASSES + c];
    largest = fmaxf(largest, p[c]);
  }
  for (int c = 0; c < CLASSES; c++) sum += p[c] = expf(p[c] - largest);
  for (int c = 0; c < CLASSES; c++) p[c] /= sum;
}

/* Returns the loss of a minibatch at theta [N] and writes its gradient to gradient [N]. */
static double loss_and_gradient(float x[BATCH][INPUTS], const int class[BATCH], float *theta, float *gradient) {
  const tensors t = split(theta), g = split(gradient);
  double loss = 0;
  for (int i = 0; i < N; i++) gradient[i] = 0;
  for (int i = 0; i < BATCH; i++) {
    float h[HIDDEN], p[CLASSES];
    forward(&t, x[i], h, p);
    loss -= log(fmaxf(p[class[i]], 1e-30f)) / BATCH;
    p[class[i]] -= 1; /* p / BATCH is now the derivative with respect to the scores */
    for (int c = 0; c < CLASSES; c++) g.b2[c] += p[c] / BATCH;
    for (int j = 0; j < HIDDEN; j++) {
      float dh = 0;
      for (int c = 0; c < CLASSES; c++) {
        g.w2[j * CLASSES + c] += h[j] * p[c] / BATCH;
        dh += t.w2[j * CLASSES + c] * p[c] / BATCH;
      }
      dh *= 1 - h[j] * h[j]; /* derivative of tanh */
      g.b1[j] += dh;
      for (int k = 0; k < INPUTS; k++) g.w1[k * HIDDEN + j] += x[i][k] * dh;
    }
  }
  return loss;
}

static int failed(const char *program) {
  fprintf(stderr, "%s: %s\n", program, wl_last_error());
  return EXIT_FAILURE;
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: %s OPTIMIZER [STEPS]\n", argv[0]), EXIT_FAILURE;
  const int steps = argc > 2 ? atoi(argv[2]) : 200;
  float theta[N] = {0}, gradient[N], x[BATCH][INPUTS];
  int class[BATCH];
  wl_optimizer *optimizer = NULL;

  const tensors t = split(theta); /* random weights; the biases start at 0 */
  for (int i = 0; i < INPUTS * HIDDEN; i++) t.w1[i] = draw() * sqrtf(3.0f / INPUTS);
  for (int i = 0; i < HIDDEN * CLASSES; i++) t.w2[i] = draw() * sqrtf(3.0f / HIDDEN);

  if (wl_optimizer_load(argv[1], &optimizer) != WL_OK) return failed(argv[0]);
  /* Rules that use tensors need the shapes, and schedules use the horizon, which is the planned number of steps. Other
   * rules ignore both; for these rules, wl_optimizer_start(optimizer, N) is enough. */
  if (wl_optimizer_start_tensors(optimizer, N_TENSORS, shapes, steps) != WL_OK) return failed(argv[0]);
  printf("%s of %lld meta-parameters, digest %s\n", wl_optimizer_rule(optimizer),
         (long long)wl_optimizer_meta_parameters(optimizer), wl_optimizer_digest(optimizer));
  for (int step = 0; step <= steps; step++) {
    draw_batch(x, class);
    const double loss = loss_and_gradient(x, class, theta, gradient);
    if (step % 20 == 0 || step == steps) printf("step %4d  loss %.6f\n", step, loss);
    if (step == steps) break;
    if (wl_optimizer_set_loss(optimizer, loss) != WL_OK) return failed(argv[0]); /* some rules use the loss */
    if (wl_optimizer_step(optimizer, N, gradient, theta) != WL_OK) return failed(argv[0]);
  }
  wl_optimizer_destroy(&optimizer);
  return EXIT_SUCCESS;
}
