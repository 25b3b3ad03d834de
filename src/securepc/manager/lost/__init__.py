"""Lost PCs: reported with one button, followed by what was read back, released, written up for others."""
