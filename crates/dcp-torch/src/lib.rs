//! PyTorch's own checkpoints. Nothing of what a pickle says is ever looked up or run.
