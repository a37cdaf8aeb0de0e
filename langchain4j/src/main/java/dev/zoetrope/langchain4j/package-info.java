/** Zoetrope's models behind LangChain4j's interfaces, in process. */
@NullMarked
package dev.zoetrope.langchain4j;

import org.jspecify.annotations.NullMarked;
