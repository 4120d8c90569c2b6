"""What recommending computes with, in numpy: baselines, latent space, cosine neighbours, encoders, top-k."""
