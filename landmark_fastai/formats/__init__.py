"What lies on disk and how it is read: the annotation CSV, splits, images, DICOM, the cache. No torch."
