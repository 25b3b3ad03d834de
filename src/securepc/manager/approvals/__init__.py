"""The Storage Shutter at the office: requests decided, take-outs kept account of, codes read out."""
