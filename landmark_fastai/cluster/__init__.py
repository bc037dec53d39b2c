"Work that many machines share, by Ray: what is done belongs to the caller, and is not known here."
