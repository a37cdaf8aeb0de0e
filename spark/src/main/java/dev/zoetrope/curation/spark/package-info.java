/** Curation over Apache Spark: core sets of more rows than fit a machine, and models that read many pictures. */
@NullMarked
package dev.zoetrope.curation.spark;

import org.jspecify.annotations.NullMarked;
